"""`python -m sandbox`: serve the sandbox on loopback. Nothing else lives here."""

import argparse

from sandbox.server import LOOPBACK, serve


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A stand-in for Mastodon's and X's APIs, on loopback.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback only")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--seed", type=int, default=7, help="the world's seed")
    parser.add_argument("--follow-stdin", action="store_true", help="stop when standard input ends")
    arguments = parser.parse_args()
    if arguments.host not in LOOPBACK:
        parser.error(f"the sandbox listens on loopback alone; {arguments.host} was refused and nothing was started")
    serve(arguments.host, arguments.port, arguments.seed, follow_stdin=arguments.follow_stdin)


if __name__ == "__main__":
    main()
