"""Every abstract test of the standards has its test here: the identifiers against the docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.conformance.controls import recorded

IDENTIFIERS = {
    "core": """http root-op root-success api-definition-op api-definition-success conformance-op
        conformance-success crs84 fc-md-op fc-md-success fc-md-links fc-md-items fc-md-items-links
        fc-md-extent fc-md-extent-multi sfc-md-op sfc-md-success fc-op fc-bbox-definition fc-bbox-response
        fc-limit-definition fc-limit-response fc-time-definition fc-time-response fc-links fc-timeStamp
        fc-numberMatched fc-numberReturned fc-response query-param-unknown query-param-invalid f-op f-success
        f-links""",
    "oas30": "completeness definition-1 definition-2 exceptions-codes oas-impl security",
    "geojson": "definition content",
    "html": "definition content",
    "crs": """crs-uri default-crs storageCrs crs-parameter crs-parameter-default crs-parameter-invalid
        crs-parameter-transform bbox-crs-parameter bbox-crs-parameter-default bbox-crs-parameter-invalid""",
    "queryables": "get-conformance get-queryables get-collection",
    "queryables-query-parameters": "parameters",
    "filter": """get-conformance get-collections filter-param filter-lang-default expression-construction
        filter-crs-wgs84 filter-crs-param mixing-expression get-functions""",
    "features-filter": "get-conformance filter-on-items",
    "basic-cql2": "basic-test comparison is-null boolean test-data logical",
    "advanced-comparison-operators": "like between in test-data logical",
    "case-insensitive-comparison": "casei casei-like test-data logical",
    "accent-insensitive-comparison": """accenti accenti-like accenti-casei accenti-casei-like test-data
        logical""",
    "basic-spatial-functions": "s_intersects test-data logical",
    "basic-spatial-functions-plus": "s_intersects test-data",
    "spatial-functions": """s_intersects s_disjoint s_equals s_touches s_crosses s_within s_contains
        s_overlaps test-data logical""",
    "temporal-functions": "temporal-functions-1 temporal-functions-2 test-data logical",
    "array-functions": "array-predicates logical",
    "property-property": """comparison-value-property comparison-property-property comparison-value-value
        test-data logical""",
    "functions": "functions",
    "arithmetic": "arithmetic test-data logical",
    "cql2-text": "escaping",
    "cql2-json": "validate",
}


def ported() -> list[str]:
    """The identifiers that the docstrings of the tests name."""
    found: list[str] = []
    for module in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found += re.findall(r"/conf/([a-z0-9-]+/[A-Za-z0-9_-]+)", ast.get_docstring(node) or "")
    return found


def test_each_abstract_test_is_ported_once():
    asked = {f"{class_}/{one}" for class_, names in IDENTIFIERS.items() for one in names.split()}
    found = ported()
    assert set(found) == asked
    assert len(found) == len(set(found))


def test_the_record_of_the_controls_names_tests():
    """Every name in it is a test of this suite, with that control."""
    known = {
        node.name
        for module in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    for control, tests in recorded().items():
        assert tests, control
        for name in tests:
            assert name.partition("[")[0] in known, name
            assert f"[{control}" in name, name
