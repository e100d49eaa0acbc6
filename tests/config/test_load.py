"""Settings from files and overrides; what is wrong is refused with its place, what was found and what is allowed."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.config import MicroSettings, RunSettings, load_settings, settings_from
from ace.config.yaml_parser import parse_yaml
from ace.errors import ConfigError

BASE: dict[str, Any] = {"task": {"name": "micro"}, "models": {"main": {"model": "micro-target"}}}
TEXT = "task: {name: micro}\nmodels: {main: {model: micro-target}}\n"


def refused(*overrides: str, **values: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(None, overrides, base={**BASE, **values})
    return caught.value


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("written", "context", "tokens"),
    [
        ("auto", 4096, 2048),
        ("auto", 131072, 8192),
        ("auto", None, 8192),
        ("3000", 4096, 3000),
        ("null", 4096, None),
    ],
)
def test_auto_gives_a_playbook_half_of_the_smallest_context(
    written: str, context: int | None, tokens: int | None
) -> None:
    settings = load_settings(None, [f"playbook.token_budget={written}"], base=BASE)
    assert settings.playbook.budget(context) == tokens


def test_a_minimal_file_gets_the_defaults(config: Path) -> None:
    settings = load_settings(config)
    assert settings == RunSettings.model_validate(BASE)
    assert settings.adaptation.epochs == 1
    assert settings.roles.of("curator").max_tokens == 2048
    assert settings.task.micro == MicroSettings(seed=0, terms=16, modifiers=8, train=40, validation=24, test=64)


def test_overrides_are_yaml_and_come_last(config: Path) -> None:
    config.write_text(TEXT + "adaptation: {epochs: 2, batch_size: 4}\n")
    overrides = ["adaptation.epochs=5", "models.main.engine_args={block_size: 32}", "playbook.token_budget=null"]
    settings = load_settings(config, [*overrides, "roles.generator.temperature=1e-1", "adaptation.epochs=6"])
    assert (settings.adaptation.epochs, settings.adaptation.batch_size) == (6, 4)
    assert settings.models["main"].engine_args == {"block_size": 32}
    assert settings.playbook.token_budget is None
    assert settings.roles.generator.temperature == 0.1


@pytest.mark.parametrize(
    ("main", "key", "allowed"),
    [
        ({"provider": "vllm", "replicas": 2}, "replicas", "1, with provider 'vllm': several engines are 'ray'"),
        ({"provider": "vllm", "ray": {"cpus": 2}}, "ray", "not supported without provider 'ray'"),
        ({"replicas": 2, "ray": {"min_replicas": 3}}, "ray.min_replicas", "at most replicas, 2"),
        ({"ray": {"address": "http://head"}}, "ray.address", "auto, HOST:PORT or ray://HOST:PORT"),
        ({"ray": {"resources": {"GPU": 1}}}, "ray.resources.GPU", "that is ray.gpu_share"),
        ({"ray": {"resources": {"fast": 0}}}, "ray.resources.fast", "more than 0"),
        (
            {"ray": {"gpu_share": 0.5}, "engine_args": {"tensor_parallel_size": 2}},
            "ray.gpu_share",
            "1, with the 2 GPUs that engine_args gives one engine",
        ),
    ],
)
def test_settings_of_a_cluster_are_checked_before_there_is_one(main: dict[str, Any], key: str, allowed: str) -> None:
    error = refused(models={"main": {"model": "micro-target", "provider": "ray", **main}})
    assert error.facts["key"] == f"models.main.{key}" and allowed in error.message


def test_the_file_stands_over_the_base_and_neither_is_changed(config: Path) -> None:
    base = {"name": "base", "adaptation": {"epochs": 3, "batch_size": 2}}
    config.write_text(TEXT + "adaptation: {epochs: 4}\n")
    settings = load_settings(config, ["adaptation.batch_size=8"], base=base)
    assert (settings.name, settings.adaptation.epochs, settings.adaptation.batch_size) == ("base", 4, 8)
    assert base == {"name": "base", "adaptation": {"epochs": 3, "batch_size": 2}}


def test_yaml_out_is_yaml_in(config: Path, tmp_path: Path) -> None:
    settings = load_settings(config, ["name='näme: [x]'", "models.main.engine_args={a: [1, null]}"])
    again = tmp_path / "again.yaml"
    again.write_text(settings.to_yaml(), encoding="utf-8")
    assert load_settings(again) == settings
    assert load_settings(again).digest == settings.digest
    assert settings_from(settings.model_dump(mode="json")) == settings


def test_the_digest_names_its_algorithm_and_follows_the_values(config: Path) -> None:
    one = load_settings(config)
    assert one.digest.startswith("sha256:") and len(one.digest) == 71
    assert load_settings(config, ["adaptation.epochs=1"]).digest == one.digest
    assert load_settings(config, ["adaptation.epochs=2"]).digest != one.digest


@given(
    epochs=st.integers(1, 99), temperature=st.floats(0, 2), shuffle=st.booleans(), name=st.text("aä:{ '#\n", min_size=1)
)
def test_any_settings_survive_their_yaml(epochs: int, temperature: float, shuffle: bool, name: str) -> None:
    adaptation = {"epochs": epochs, "shuffle": shuffle}
    roles = {"generator": {"temperature": temperature}}
    settings = settings_from({**BASE, "name": name, "adaptation": adaptation, "roles": roles})
    assert settings_from(parse_yaml(settings.to_yaml())) == settings


class TestFiles:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such config file"):
            load_settings(tmp_path / "nowhere.yaml")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(tmp_path)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the config is empty"),
            ("- a\n", "a mapping of keys, found list"),
            ("a: 1\nb: [1,\n", r"run\.yaml:3: not YAML"),
            ("a: 1\nb: 2\na: 3\n", r"run\.yaml:3: not YAML: the key 'a' stands twice"),
            ("a: \x01\n", r"run\.yaml: not YAML"),
            ("a: !!python/name:os.system\n", r"run\.yaml:1: not YAML"),
        ],
    )
    def test_what_is_no_config(self, config: Path, text: str, message: str) -> None:
        config.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_settings(config)

    def test_a_date_is_text(self) -> None:
        assert load_settings(None, ["name=2026-13-01"], base=BASE).name == "2026-13-01"

    def test_what_is_not_utf8(self, config: Path) -> None:
        config.write_bytes(b"name: \xff\n")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(config)

    def test_a_byte_order_mark_and_crlf_are_read(self, config: Path) -> None:
        config.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
        assert load_settings(config) == settings_from(BASE)

    @pytest.mark.parametrize("version", [2, 0, "1", None, True])
    def test_another_version_names_both(self, config: Path, version: Any) -> None:
        error = refused(version=version)
        assert error.facts["key"] == "version"
        assert str(error).startswith(f"version: found {version!r}, allowed: 1")
        assert "another version" in str(error)


class TestProblems:
    @pytest.mark.parametrize(
        ("override", "key", "nearest"),
        [
            ("adaptation.epoch=2", "adaptation.epoch", "adaptation.epochs"),
            ("adaption.epochs=2", "adaption", "adaptation"),
            ("epochs=2", "epochs", "adaptation.epochs"),
            ("models.main.base_ulr=x", "models.main.base_ulr", "models.main.base_url"),
            ("roles.generater.model=main", "roles.generater", "roles.generator"),
            ("playbook.dedup.treshold=0.5", "playbook.dedup.treshold", "playbook.dedup.threshold"),
            ("task.micro.trms=3", "task.micro.trms", "task.micro.terms"),
            ("xyzzy=1", "xyzzy", None),
        ],
    )
    def test_an_unknown_key(self, override: str, key: str, nearest: str | None) -> None:
        error = refused(override)
        assert (error.facts["key"], error.facts["nearest"]) == (key, nearest)
        assert "no such key" in error.facts["allowed"]
        assert nearest is None or f"did you mean '{nearest}'?" in str(error)

    @pytest.mark.parametrize(
        ("override", "found", "allowed"),
        [
            ("adaptation.epochs=0", 0, "greater than or equal to 1"),
            ("adaptation.batch_size=-1", -1, "greater than or equal to 1"),
            ("adaptation.epochs=many", "many", "a valid integer"),
            ("adaptation.epochs=1.5", 1.5, "integer"),
            ("adaptation.epochs=yes", True, "a number"),
            ("adaptation.curator_groups=0", 0, "greater than or equal to 1 or 'auto'"),
            ("adaptation.curator_groups=true", True, "a number"),
            ("roles.generator.temperature=.nan", float("nan"), "a finite number"),
            ("models.main.timeout_s=.inf", float("inf"), "a finite number"),
            ("roles.generator.top_p=0", 0, "greater than 0"),
            ("models.main.gpu_memory_utilization=1.1", 1.1, "less than or equal to 1"),
            ("playbook.dedup.threshold=2", 2, "less than or equal to 1"),
            ("models.main.model=7", 7, "a valid string"),
            ("adaptation.shuffle=maybe", "maybe", "a valid boolean"),
            ("adaptation=3", 3, "a mapping with keys of method, epochs"),
            ("models=[]", [], "a mapping"),
        ],
    )
    def test_a_wrong_value(self, override: str, found: object, allowed: str) -> None:
        error = refused(override)
        assert error.facts["key"] == override.partition("=")[0]
        assert repr(error.facts["found"]) == repr(found)
        assert allowed in error.facts["allowed"]
        assert str(error).startswith(f"{error.facts['key']}: found {found!r}, allowed: ")

    @pytest.mark.parametrize(
        ("override", "nearest"),
        [("models.main.provider=vlm", "vllm"), ("mode=offlin", "offline"), ("task.name=jsonll", "jsonl")],
    )
    def test_a_wrong_word(self, override: str, nearest: str) -> None:
        error = refused(override)
        assert error.facts["nearest"] == nearest
        assert f"'{nearest}'" in error.facts["allowed"]

    @pytest.mark.parametrize("key", ["task", "models"])
    def test_a_missing_key(self, key: str) -> None:
        with pytest.raises(ConfigError, match=f"{key}: missing") as caught:
            settings_from({name: value for name, value in BASE.items() if name != key})
        assert caught.value.facts["key"] == key

    def test_a_missing_word_tells_the_words(self) -> None:
        error = refused(task={})
        assert error.facts["key"] == "task.name"
        assert "'micro', 'jsonl'" in str(error)

    def test_no_models(self) -> None:
        assert refused(models={}).facts["key"] == "models"

    def test_a_role_names_a_model_that_is_not_there(self) -> None:
        error = refused("roles.curator.model=mian")
        assert error.facts["key"] == "roles.curator.model"
        assert error.facts["found"] == "mian"
        assert error.facts["nearest"] == "main"

    def test_shares_beyond_the_whole(self) -> None:
        error = refused("task.name=jsonl", "task.path=x", "task.split={train: 0.8, validation: 0.3, test: 0.1}")
        assert (error.facts["key"], error.facts["found"]) == ("task.split", 1.2)

    def test_the_target_is_never_shown(self) -> None:
        error = refused("task.name=jsonl", "task.path=x", "task.fields.target=question")
        assert (error.facts["key"], error.facts["found"]) == ("task.fields.target", "question")

    @pytest.mark.parametrize(
        ("name", "override"),
        [
            ("micro", "task.path=x.jsonl"),
            ("micro", "task.grader=numeric"),
            ("jsonl", "task.micro.seed=4"),
            ("hf", "task.train=x"),
            ("python", "task.limit=3"),
        ],
    )
    def test_a_key_of_another_task(self, name: str, override: str) -> None:
        error = refused(f"task.name={name}", override)
        assert error.facts["key"] == ".".join(override.partition("=")[0].split(".")[:2])
        assert f"not supported with task '{name}'" in error.facts["allowed"]

    def test_all_problems_are_told_and_the_first_has_the_facts(self) -> None:
        error = refused("seed=-1", "adaptation.epoch=2", "adaptation.batch_size=0")
        assert error.facts["key"] == "seed"
        lines = error.message.split("\n")
        assert [line.partition(":")[0] for line in lines] == ["seed", "adaptation.batch_size", "adaptation.epoch"]

    def test_keys_that_are_no_text(self) -> None:
        with pytest.raises(ConfigError):
            settings_from({**BASE, 1: 2})  # type: ignore[dict-item]
        with pytest.raises(ConfigError):
            settings_from({**BASE, "models": {1: {"model": "x"}}})

    @pytest.mark.parametrize("override", ["epochs", "=3", "a..b=1", ".a=1", ""])
    def test_what_is_no_override(self, override: str) -> None:
        error = refused(override)
        assert (error.facts["key"], error.facts["found"]) == ("--set", override)

    def test_an_override_that_is_no_yaml(self) -> None:
        assert refused("adaptation.epochs=[1").facts["key"] == "adaptation.epochs"

    def test_an_override_below_what_is_no_mapping(self) -> None:
        error = refused("seed.x=1", seed=3)
        assert (error.facts["key"], error.facts["found"]) == ("seed", 3)

    def test_errors_survive_pickling(self) -> None:
        error = refused("adaptation.epoch=2")
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.facts) == (str(error), error.facts)


class TestPaths:
    def test_those_in_a_file_are_relative_to_its_folder(self, config: Path) -> None:
        config.write_text(
            "task: {name: jsonl, train: data/a.jsonl, test: /abs/b.jsonl}\n"
            "playbook: {initial: start.txt}\nprompts: ./pack\n"
            "models: {main: {model: ./weights}, other: {model: org/name}, packaged: {model: micro-target}}\n"
        )
        settings, folder = load_settings(config), config.parent
        assert settings.task.train == str(folder / "data/a.jsonl")
        assert settings.task.test == "/abs/b.jsonl"
        assert settings.playbook.initial == str(folder / "start.txt")
        assert settings.prompts == str(folder / "pack")
        assert [model.model for model in settings.models.values()] == [
            str(folder / "weights"),
            "org/name",
            "micro-target",
        ]

    def test_those_in_overrides_are_relative_to_the_working_folder(
        self, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = tmp_path / "elsewhere"
        here.mkdir()
        monkeypatch.chdir(here)
        config.write_text(TEXT.replace("name: micro", "name: jsonl, path: data.jsonl", 1))
        assert load_settings(config).task.path == str(tmp_path / "data.jsonl")
        assert load_settings(config, ["task.path=mine.jsonl"]).task.path == str(here / "mine.jsonl")
        whole = load_settings(config, ["task={name: csv, path: mine.csv}"])
        assert whole.task.path == str(here / "mine.csv")

    def test_a_data_set_on_the_hub_keeps_its_name(self, config: Path) -> None:
        config.write_text(TEXT.replace("name: micro", "name: hf, path: org/set", 1))
        assert load_settings(config).task.path == "org/set"
        (config.parent / "org" / "set").mkdir(parents=True)
        assert load_settings(config).task.path == str(config.parent / "org/set")

    def test_a_home_folder(self, config: Path) -> None:
        config.write_text(TEXT.replace("name: micro", "name: jsonl, path: ~/x.jsonl", 1))
        assert load_settings(config).task.path == str(Path.home() / "x.jsonl")


@pytest.mark.parametrize("written", ["off", "'off'", "warn", "quarantine"])
def test_the_guards_policies_can_be_written_plainly(written: str) -> None:
    settings = load_settings(None, [f"playbook.guard.policy={written}"], base=BASE)
    assert settings.playbook.guard.policy == written.strip("'")
    assert RunSettings.model_validate(parse_yaml(settings.to_yaml())) == settings


@pytest.mark.parametrize("written", ["on", "quarantined", "null"])
def test_no_other_policy_of_the_guard_is_taken(written: str) -> None:
    error = refused(f"playbook.guard.policy={written}")
    assert "playbook.guard.policy" in error.message and "quarantine" in error.message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "a: &a [x, x]\n"
            + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(8)),
            "more than 100000 values",
        ),
        ("a: &a [*a]\n", ":1: not YAML: an alias of a value that contains it"),
        ("name: x\n? [a, b]\n: c\n", ":2: not YAML: a key is a text, found a sequence"),
        ("name: x\n{{ y }}: z\n", ":2: not YAML: a key is a text, found a mapping"),
    ],
)
def test_yaml_that_is_no_config_is_refused_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert complaint in caught.value.message


def test_an_alias_stands_for_its_value(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "task: {name: micro}\n"
        "models:\n  main: &main {provider: scripted, model: x, max_retries: 7}\n  other: {<<: *main, model: y}\n"
    )
    models = load_settings(path).models
    assert [(models[name].model, models[name].max_retries) for name in ("main", "other")] == [("x", 7), ("y", 7)]


def test_an_embedder_without_its_model_is_refused_by_its_key() -> None:
    error = refused("playbook.dedup.embedder=sentence-transformers")
    assert error.facts["key"] == "playbook.dedup.model"
    assert "the name of a model for the embedder 'sentence-transformers'" in str(error)
    assert refused("playbook.dedup.model=some/model").facts["key"] == "playbook.dedup.model"
    assert refused("playbook.dedup.embedder=vllm").facts["key"] == "playbook.dedup.embedder"
