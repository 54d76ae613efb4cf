from __future__ import annotations
from checks.gate import audit
import time
from tests.checks.conftest import *
def test_all(warehouse):
    t=time.process_time()
    v = audit(warehouse, TABLES, INSTITUTIONS, NOW, "run")
    print(time.process_time()-t)
    bad=[x for x in v if not x.passed]
    for x in bad: print(x)
    for x in v:
        if x.institution_id=='alfa': print(x.table_name,x.promise,x.rows_judged,x.found)
    assert not bad
