"""Files of access policies: what is wrong is told with file, line and key, and nothing of it comes into force."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_cli.policies import described_policy, names_nobody
from jumpstarter_cli.policy_files import read_policies

FILE = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterAccessPolicy
metadata:
  name: boards
spec:
  exporterSelector:
    matchLabels:
      board: rpi
  policies:
    - description: the team
      priority: 5
      maximumDuration: 1h
      from:
        - clientSelector:
            matchLabels:
              team: a
            matchExpressions:
              - {key: site, operator: In, values: [lyon, oslo]}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("policy.yaml")
    path.write_text(FILE)
    return path


def test_policy_is_read_as_it_is_shown(file: Path) -> None:
    (policy,) = read_policies(file, "default")
    (rule,) = policy.rules
    assert (policy.name, policy.exporter_selector, list(rule.client_selectors)) == (
        "boards",
        "board=rpi",
        ["site in (lyon,oslo),team=a"],
    )
    assert (rule.priority, rule.maximum_duration.seconds, rule.spot_access) == (5, 3600, False)
    import yaml

    file.write_text(yaml.safe_dump(described_policy(policy)))
    assert read_policies(file, "default") == [policy]
    shown = {"kind": "ExporterAccessPolicyList", "items": [described_policy(policy)]}
    file.write_text(yaml.safe_dump(shown))
    assert read_policies(file, "default") == [policy]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "- clientSelector:",
            "- extra: 1\n          clientSelector:",
            "policy.yaml:14: spec.policies[0].from[0].extra: unknown key; expected one of clientSelector",
        ),
        (
            "team: a",
            "team: a,b",
            "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector: 'a,b' cannot be the value of label team",
        ),
        (
            "team: a",
            '"team,site": a',
            "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector: 'team,site' cannot be the key of a label",
        ),
        (
            "values: [lyon, oslo]",
            'values: ["lyon),team in (b"]',
            "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector: 'lyon),team in (b' cannot be the value",
        ),
        (
            "operator: In, values: [lyon, oslo]",
            "operator: Exists, values: [lyon]",
            "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector: whether label site is there depends on no value",
        ),
        (
            "operator: In, values: [lyon, oslo]",
            "operator: NotIn",
            "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector: label site is compared with no value",
        ),
        (
            "      board: rpi\n",
            "      board: rpi,!spare\n",
            "policy.yaml:6: spec.exporterSelector: selector: 'rpi,!spare' cannot be the value of label board",
        ),
        (
            "            matchExpressions:",
            "      from:\n        - clientSelector: {}\n      ignored:",
            "policy.yaml:17: spec.policies[0].from: duplicate key; the first one is in line 13",
        ),
        (
            "      board: rpi\n",
            "      board: rpi\n      board: any\n",
            "policy.yaml:9: spec.exporterSelector.matchLabels.board: duplicate key",
        ),
        (
            "  name: boards\n",
            "  name: boards\n  name: other\n",
            "policy.yaml:5: metadata.name: duplicate key",
        ),
        ("  policies:\n", "  policies: []\n  policies:\n", "policy.yaml:10: spec.policies: duplicate key"),
        ("kind: Ex", "kind: ExporterAccessPolicy\nkind: Ex", "policy.yaml:3: kind: duplicate key"),
        (
            "priority: 5",
            "priority: high",
            "policy.yaml:11: spec.policies[0].priority: found text 'high'; expected a whole",
        ),
        (
            "priority: 5",
            "priority: true",
            "policy.yaml:11: spec.policies[0].priority: found the boolean true",
        ),
        ("priority: 5", "prioriti: 5", "policy.yaml:11: spec.policies[0].prioriti: unknown key"),
        (
            "maximumDuration: 1h",
            "maximumDuration: soon",
            "policy.yaml:12: spec.policies[0].maximumDuration: found text",
        ),
        (
            "maximumDuration: 1h",
            "maximumDuration: 0s",
            "policy.yaml:12: spec.policies[0].maximumDuration: found 0:00:00",
        ),
        (
            "team: a",
            "team: 1",
            "from[0].clientSelector.matchLabels.team: found the whole number 1; expected text",
        ),
        ("team: a", "team: a b", "policy.yaml:14: spec.policies[0].from[0].clientSelector: selector"),
        (
            "operator: In",
            "operator: in",
            "matchExpressions[0].operator: found text 'in'; expected one of 'In'",
        ),
        (
            "  name: boards\n",
            "  namespace: other\n  name: boards\n",
            "policy.yaml:4: metadata.namespace: found 'other'; expected 'default'",
        ),
        ("  name: boards\n", "  labels: {}\n", "policy.yaml:3: metadata.name: missing; expected text"),
        (
            "kind: ExporterAccessPolicy",
            "kind: Exporter",
            "policy.yaml:2: kind: found text 'Exporter'; expected 'Exp",
        ),
        ("spec:", "spec: !!python/object:os.system", "policy.yaml:5: spec: YAML tag"),
        ("      priority", "\tpriority", "policy.yaml:11: not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_key(file: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    file.write_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as error:
        read_policies(file, "default")
    assert message in str(error.value)


def test_all_of_it_is_told_at_once(file: Path) -> None:
    file.write_text(FILE.replace("priority: 5", "priority: high").replace("team: a", "team: 1"))
    with pytest.raises(ConfigurationError) as error:
        read_policies(file, "default")
    assert [line.split(": ")[0] for line in str(error.value).splitlines()] == [
        "policy.yaml:11",
        "policy.yaml:16",
    ]


def test_documents_and_lists_hold_several_policies_of_different_names(file: Path) -> None:
    file.write_text(f"---\n{FILE}---\n---\n{FILE.replace('boards', 'others')}")
    assert [policy.name for policy in read_policies(file, "default")] == ["boards", "others"]
    file.write_text(f"{FILE}---\n{FILE}")
    with pytest.raises(
        ConfigurationError, match=r"policy.yaml:23: metadata.name: found 'boards' again; .*line 4"
    ):
        read_policies(file, "default")


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n"])
def test_empty_file_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"policy.yaml:1: the file is empty"):
        read_policies(file, "default")


@pytest.mark.parametrize("rules", ["[]", "", "[{priority: 1}]", "[{from: []}]"])
def test_policy_that_names_nobody_is_known(file: Path, rules: str) -> None:
    file.write_text(FILE.partition("  policies:")[0] + f"  policies: {rules}\n")
    (policy,) = read_policies(file, "default")
    assert names_nobody(policy)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(FILE.replace("priority: 5", "priority: high")))
    with pytest.raises(ConfigurationError, match=r"standard input:11: spec\.policies"):
        read_policies(Path("-"), "default")
