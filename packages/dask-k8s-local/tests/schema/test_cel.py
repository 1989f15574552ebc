"""CEL expressions; responses to broken rules are tested in the conformance suite."""

import pytest

from dask_k8s_local.crd import cel
from dask_k8s_local.schema.node import compile_node

TEXT = {"type": "string"}
OBJECT = {
    "text": "a,b",
    "umlaut": "äöü",
    "numbers": [1, 2, 3],
    "share": 2,
    "memory": "1Gi",
    "map": {"a-b": "x"},
    "dash-ed": 1,
    "namespace": "n",
    "at": "2026-01-01T00:00:00Z",
}
SCHEMA = {
    "type": "object",
    "properties": {
        "text": TEXT,
        "umlaut": TEXT,
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "share": {"type": "number"},
        "memory": {"x-kubernetes-int-or-string": True},
        "map": {"type": "object", "additionalProperties": TEXT},
        "dash-ed": {"type": "integer"},
        "namespace": TEXT,
        "at": {"type": "string", "format": "date-time"},
    },
}
TRUE = [
    "self.text.split(',') == ['a', 'b']",
    "self.text.split(',').join('-') == 'a-b'",
    "self.text.replace(',', '') == 'ab'",
    "self.text.find('[a-z]') == 'a'",
    "self.text.findAll('[a-z]').size() == 2",
    "self.text.substring(2) == 'b' && self.text.charAt(1) == ','",
    "self.text.indexOf('b') == 2 && self.text.lastIndexOf('x') == -1",
    "self.text.upperAscii() == 'A,B' && ' x '.trim() == 'x'",
    "self.text.matches('^[a-z](,[a-z])*$')",
    "size(self.umlaut) == 3 && self.umlaut.size() == 3",
    "self.numbers.sum() == 6 && self.numbers.min() == 1 && self.numbers.max() == 3",
    "self.numbers.isSorted() && self.numbers.indexOf(2) == 1",
    "self.numbers.all(n, n > 0) && self.numbers.exists(n, n == 2) && self.numbers.exists_one(n, n > 2)",
    "self.numbers.map(n, n * 2).filter(n, n > 2) == [4, 6]",
    "self.share > 1.5",
    "quantity(self.memory).isGreaterThan(quantity('1023Mi')) && isQuantity('1k') && !isQuantity('k')",
    "quantity('1Gi').add(quantity('1Gi')) == quantity('2Gi') && quantity('1k').asInteger() == 1000",
    "self.map.all(key, self.map[key] == 'x') && 'a-b' in self.map",
    "self.dash__dash__ed == 1",
    "self.__namespace__ == 'n'",
    "self.at < timestamp('2027-01-01T00:00:00Z')",
    "!has(self.nope)",
    "isIP('127.0.0.1') && !isIP('x') && isCIDR('10.0.0.0/8')",
]


def problems(rule, obj=OBJECT):
    node = compile_node({**SCHEMA, "x-kubernetes-validations": [{"rule": rule}]})
    return [str(one) for one in cel.check(node, obj)]


@pytest.mark.parametrize("rule", TRUE)
def test_true(rule):
    assert problems(rule) == []


def test_what_the_schema_does_not_declare_is_not_there():
    assert problems("self.nope == 1", {**OBJECT, "nope": 1}) == [
        '<nil>: Invalid value: "object": no such key: nope evaluating rule: self.nope == 1'
    ]


def test_unreadable():
    assert cel.compile_rule("self.(") is not None
    assert cel.compile_rule("self.a == 1") is None


@pytest.mark.parametrize("old, same", [({"nope": 1}, True), ({"nope": 2}, False), ({}, False)])
def test_equality_compares_what_the_schema_does_not_declare(old, same):
    node = compile_node({**SCHEMA, "x-kubernetes-validations": [{"rule": "self == oldSelf"}]})
    found = list(cel.check(node, {**OBJECT, "nope": 1}, {**OBJECT, **old}))
    assert (found == []) == same
