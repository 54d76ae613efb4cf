"""The words of the simulated world: what the institution and the fictional public write.

Lives here: Indonesian sentences, names and hashtags, all made up. Does not live here: who says what and when (`world`).
Only the spam sentences hold words of gambling or loan spam, always two or more of them and a link.
"""

from typing import Final

SPAM_WORDS: Final = ("slot", "gacor", "maxwin", "judi", "pinjol", "togel", "jackpot")

FIRST_NAMES: Final = (
    "Ratna", "Wiryo", "Laksmi", "Guntur", "Meilani", "Sutrisna", "Nurhayati", "Bambang", "Kirana", "Darmawan",
    "Yulianti", "Prasetya", "Sekar", "Hendrawan", "Fitriani", "Rangga", "Wulandari", "Teguh", "Anindita", "Suparman",
    "Marlina", "Galang", "Roswita", "Permana", "Dahlia",
)  # fmt: skip
LAST_NAMES: Final = (
    "Kusumaningrat", "Hadisaputro", "Wirasatya", "Puspitarini", "Adiwangsa", "Nataprawira", "Suryolaksono", "Mangunkarya",
    "Tirtawijaya", "Danukusumo", "Reksobuwono", "Purwaningsih",
)  # fmt: skip
BIOS: Final = (
    "Ibu dua anak, suka berkebun. Kontak: {email}",
    "Pegiat literasi di Bantul | {email}",
    "Barista, pelari pagi, penggemar layangan",
    "Guru SD. Tulisan pribadi. Surel {email}",
    "Wiraswasta, hubungi WA {phone}",
)

FUNDRAISING_TAGS: Final = ("zakat", "sedekah", "wakaf", "donasi")
PLAIN_TAGS: Final = ("kabarcahaya", "relawan", "pendidikan", "zakatfitrah", "beasiswa")
POSTS: Final = (
    "Alhamdulillah, 120 paket sembako sudah sampai di Desa Sukamaju. Terima kasih para donatur.",
    "Belajar menghitung harta bersama pengelola kami, Sabtu pagi di aula.",
    "Kisah Pak Karto: dari penerima manfaat menjadi pemberi.",
    "Laporan bulanan penyaluran sudah terbit. Silakan dibaca.",
    "Kelas gratis untuk adik-adik binaan dibuka kembali pekan ini.",
    "Tim relawan berangkat ke lokasi banjir membawa air bersih.",
    "Satu kebaikan kecil hari ini, apa kebaikanmu?",
    "Sumur ke-40 selesai digali. Semoga airnya mengalir lama.",
)
CAMPAIGN_POSTS: Final = (
    "Ramadan tinggal hitungan hari, mari bersihkan harta.",
    "Tunaikan kewajibanmu di bulan mulia ini, mudah lewat laman kami.",
    "Buka puasa bersama 500 anak yatim, ikut berbagi yuk.",
    "Sepuluh malam terakhir, lipatgandakan kebaikan.",
)
LINK: Final = "https://lazcahaya.example/{slug}"
GIVEAWAY: Final = "GIVEAWAY! Tag 3 teman di kolom komentar, tiga orang beruntung mendapat paket buku."
DELETED: Final = "Info jadwal ini keliru, mohon tunggu pengumuman berikutnya."
UNLIKED: Final = "Terima kasih atas dukungan luar biasa untuk program beasiswa."
THREAD: Final = (
    "Utas: bagaimana dana dikelola? (1/3)",
    "Setiap rupiah dicatat, lalu diperiksa akuntan publik. (2/3)",
    "Laporan lengkap bisa diunduh siapa saja. Selesai. (3/3)",
)
EDITED: Final = ("Sahur bersama relawan jam 3.30, di aula lantai 3.", "Sahur bersama relawan jam 3.30, di aula lantai 2 (ralat).")
OWN_REPLIES: Final = (
    "@{person} terima kasih, silakan kirim pesan langsung ya.",
    "@{person} aamiin, semoga berkah.",
    "@{person} bisa lewat laman kami atau datang ke kantor.",
)
SISTER_COMMENT: Final = "@{account} siap mendukung dari tim program!"
SISTER_POST: Final = "Ikuti juga kabar program di @{account}, banyak cerita lapangan."
FOREIGN: Final = (
    "Rekap kegiatan sosial pekan ini di kota kami.",
    "Data kemiskinan terbaru sudah keluar, menarik dibaca.",
    "Hujan deras, hati-hati di jalan semuanya.",
)
OWN_QUOTE: Final = "Catatan penting dari lapangan, terima kasih sudah menulis."
FOREIGN_ANSWER: Final = "@{person} kami siap membantu, kabari alamatnya."

PRAISE: Final = (
    "semoga berkah selalu",
    "masyaallah keren sekali programnya",
    "terima kasih sudah amanah menyalurkan",
    "ikut bangga jadi donatur tetap",
    "barakallah, lanjutkan",
)
QUESTIONS: Final = (
    "apakah bisa bayar lewat QRIS?",
    "nisab tahun ini berapa ya min?",
    "kapan jadwal penyaluran di Semarang?",
    "kalau mau jadi relawan daftar di mana?",
    "mohon hubungi saya di {phone}, mau tanya beasiswa",
    "saya sudah kirim surel dari {email}, kapan dibalas?",
)
EMOJI: Final = ("\U0001f932\U0001f932", "❤️", "\U0001f64f\U0001f64f\U0001f64f", "\U0001f525", "\U0001f44d")
SPAM: Final = (
    "slot gacor malam ini pasti maxwin https://gacor-{n}.example/daftar",
    "butuh dana cepat? pinjol cair, bonus jackpot https://dana-{n}.example/klik",
    "judi bola dan togel terpercaya https://bandar-{n}.example",
)
MENTIONS: Final = (
    "Barusan donasi lewat @{account}, prosesnya cepat.",
    "Ada yang pernah ikut program @{account}?",
    "Semalam nonton siaran @{account}, isinya bagus",
    "Terima kasih @{account} sudah datang ke kampung kami",
    "Pagi @{account}, kantor buka jam berapa? WA saya {phone}",
)
BOTH_MENTION: Final = "Kolaborasi @{one} dan @{two} memang patut dicontoh"
CRISIS: Final = (
    "Kecewa sama @{account}, laporan dananya mana?",
    "Kenapa @{account} diam saja soal kabar itu? Parah",
    "@{account} tolong jelaskan, saya donatur dan merasa ditipu",
    "Jangan percaya dulu sama @{account} sebelum ada klarifikasi",
)
QUOTES: Final = ("Ini contoh yang baik, salut @{account}", "Baca ini, penting dari @{account}", "Setuju dengan @{account}, mari bantu")
DEEP: Final = ("setuju sama komentar di atas", "saya juga mau tanya hal yang sama", "coba cek di laman resminya kak")
GIVEAWAY_COMMENT: Final = "ikutan dong! @{a} @{b} @{c}"
EDGE_EARLY: Final = "Selamat dini hari @{account}, masih ada yang jaga?"
EDGE_LATE: Final = "Selamat malam @{account}, terima kasih bantuannya hari ini"

# -- Instagram, Facebook, Threads, YouTube: two figures in each, so that no two of them are nearly the same by accident -----------------
STILLS: Final = (
    "Hari ke-{n} di Desa {place}: {m} keluarga menerima paket sembako.",
    "{n} relawan menanam {m} pohon di bantaran sungai {place}.",
    "Perpustakaan {place} kini punya {n} buku, dibaca {m} anak setiap pekan.",
    "Sumur nomor {n} di {place} mengalirkan air untuk {m} rumah.",
    "Kelas keterampilan angkatan {n} di {place} meluluskan {m} peserta.",
    "Dapur umum {place} memasak {m} porsi sejak pukul {n}.",
)
FILMS: Final = (
    "Kisah Bu Sari dari {place}: {n} tahun berjualan, {m} pelanggan tetap",
    "Sehari bersama {n} relawan di {place}, {m} kilometer ditempuh",
    "Cara menghitung harta {n} langkah, contoh {m} dari {place}",
    "Penyaluran tahap {n} di {place}: {m} penerima manfaat",
)
LIVES: Final = ("Siaran langsung kajian ke-{n} dari {place}, {m} kursi tersedia",)
NOTES: Final = (
    "Catatan {n} dari {place}: {m} orang bertanya soal nisab hari ini",
    "Hujan di {place}, {n} posko siaga dengan {m} relawan",
    "Terima kasih {m} donatur {place}, target ke-{n} tercapai",
    "Ada {n} lowongan relawan di {place}, {m} sudah mendaftar",
)
STORIES: Final = ("Pagi dari {place}, {n} relawan, {m} paket", "{m} kotak siap berangkat ke {place}, truk {n}")
PLACES: Final = (
    "Sukamaju", "Karanganyar", "Tegalrejo", "Bojongsari", "Wonosari", "Cibodas", "Palangka", "Mekarjaya", "Purwodadi", "Sidomulyo",
    "Cempaka", "Tanjungsari", "Girimulyo", "Kedungwuni", "Randudongkal",
)  # fmt: skip
CROSS_POST: Final = "Ribuan mushaf wakaf sudah tiba di pelosok Halmahera berkat kebaikan para donatur Cahaya."
CROSS_TAGS: Final = {
    "instagram": "#wakaf #mushaf #halmahera", "facebook": "#wakaf", "threads": "#mushaf", "youtube": "#wakaf #shorts",
}  # fmt: skip
LINKED: Final = "Tayangan lengkap laporan tahunan sudah ada di kanal kami https://www.youtube.com/watch?v={id}"
REPORT_FILM: Final = "Laporan tahunan Cahaya: ke mana setiap rupiah pergi #sedekah"
HIDDEN_LIKES: Final = "Latihan memanah santri cilik, lihat ekspresi mereka #relawan"
HIDDEN_LIKES_FILM: Final = "Tanya jawab singkat: sedekah atas nama orang tua #sedekah"
SPLIT_CLICKS: Final = "Daftar mudik gratis bersama Cahaya https://lazcahaya.example/mudik #kabarcahaya"
FLASH: Final = "Poster ini salah tanggal, kami perbaiki dulu"
FOUR_PRAISE: Final = (
    "semoga berkah selalu", "masyaallah indah sekali", "ikut bangga jadi donatur tetap", "barakallah, lanjutkan", "sehat selalu para relawan",
)  # fmt: skip
FOUR_REPLIES: Final = ("aamiin, terima kasih doanya", "silakan kirim pesan langsung ya kak", "bisa lewat laman kami, tautan ada di profil")
FOUR_NESTED: Final = ("setuju banget", "saya juga mau tanya hal yang sama", "coba cek laman resminya kak")
TAGGED: Final = (
    "Seru sekali ikut program @{account} akhir pekan ini",
    "Terima kasih @{account} sudah datang ke sekolah kami",
    "Barusan titip sedekah lewat @{account}, prosesnya cepat",
    "Ada yang tahu jadwal kajian @{account}?",
)
