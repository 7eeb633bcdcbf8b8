"""The plan of `stoplog topics`: declared and existing in, steps and troubles out."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from streams.model.topics import (
    AUDIT,
    AUDIT_REPORTED,
    BY_NAME,
    CONTENT_KEY,
    DECLARED,
    GATE_CHANGELOG,
    INTENT,
    REPORT,
    REVOCATION,
    SESSION,
    TOPICS,
    VERDICT,
    Role,
    Spread,
    Topic,
    outcome_topic,
)
from streams.operations.settings import TopicsSection
from streams.operations.topics.access import (
    READER_GROUP,
    Principals,
    PrincipalsError,
    declared_access,
    plan_access,
    read_principals,
    read_tenants,
)
from streams.operations.topics.application import principals_of
from streams.operations.topics.plan import (
    CONFIG_NAMES,
    MIN_INSYNC,
    AlterConfig,
    CreateTopic,
    GrantAccess,
    plan_topics,
    replication_warning,
)
from streams.ports import AclSpec, TopicState

PARTITIONS = 6


def as_declared(topic: Topic, partitions: int = PARTITIONS, replication: int = 1, **config: str) -> TopicState:
    count = 1 if topic.spread is Spread.BROADCAST else partitions
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return TopicState(topic.name, count, replication, {**topic.config(), **changed})


ALL_THERE = {topic.name: as_declared(topic) for topic in TOPICS}


def principals(**by_role: str) -> Principals:
    stated = {name.replace("_", "-"): by_role[name].split() for name in by_role}
    named = {principal for each in stated.values() for principal in each}
    own = {principal: (principal.removeprefix("User:"),) for principal in named}
    groups = {principal: (f"executor-{names[0]}",) for principal, names in own.items()}
    return Principals(read_principals(stated), gate_group="gates", instances=own, executor_groups=groups)


class TestTopics:
    def test_on_an_empty_log_every_topic_is_created(self) -> None:
        plan = plan_topics(TOPICS, {}, PARTITIONS, 3)
        specs = {step.spec.name: step.spec for step in plan.steps if isinstance(step, CreateTopic)}
        assert set(specs) == set(BY_NAME)
        assert len(plan.steps) == len(specs)
        assert not plan.troubles
        assert all(spec.config[MIN_INSYNC] == "2" for spec in specs.values())
        assert specs[INTENT.name].partitions == PARTITIONS
        assert specs[REVOCATION.name].partitions == 1
        assert specs[REVOCATION.dlq].partitions == 1
        assert specs[REVOCATION.name].config["cleanup.policy"] == "compact"
        assert all(spec.config["message.timestamp.type"] == "LogAppendTime" for spec in specs.values())

    def test_a_log_as_declared_needs_nothing(self) -> None:
        assert plan_topics(TOPICS, ALL_THERE, PARTITIONS, 1).is_clean

    def test_new_topics_join_those_that_exist(self) -> None:
        """A missing topic of another count would keep every gate from starting."""
        states = {topic.name: as_declared(topic, 12) for topic in TOPICS if topic is not VERDICT}
        plan = plan_topics(TOPICS, states, PARTITIONS, 1)
        (step,) = plan.steps
        assert isinstance(step, CreateTopic)
        assert step.spec.partitions == 12
        (trouble,) = plan.troubles
        assert "12 partitions" in trouble.text
        assert "set it to 12" in trouble.advice

    def test_a_deployment_without_the_topic_of_reports_gets_it(self) -> None:
        """As every deployment of the version before is."""
        states = {name: state for name, state in ALL_THERE.items() if name != AUDIT_REPORTED.name}
        plan = plan_topics(TOPICS, states, PARTITIONS, 1)
        assert [str(step) for step in plan.steps] == ["create topic `agent.audit.reported.v1` with 6 partitions"]
        assert plan.troubles == ()

    def test_configurations_that_differ_are_set_one_by_one(self) -> None:
        states = dict(ALL_THERE)
        states[AUDIT.name] = as_declared(AUDIT, message_timestamp_type="CreateTime", retention_ms="1")
        states[GATE_CHANGELOG.name] = as_declared(GATE_CHANGELOG, cleanup_policy="delete")
        plan = plan_topics(TOPICS, states, PARTITIONS, 1)
        assert plan.steps == (
            AlterConfig(AUDIT.name, "message.timestamp.type", "CreateTime", "LogAppendTime"),
            AlterConfig(AUDIT.name, "retention.ms", "1", str(90 * 86_400_000)),
            AlterConfig(GATE_CHANGELOG.name, "cleanup.policy", "delete", "compact"),
        )
        assert str(plan.steps[0]) == (
            "set `message.timestamp.type` of topic `agent.audit.v1` from `CreateTime` to `LogAppendTime`"
        )

    @pytest.mark.parametrize(
        ("replication", "stated", "steps"),
        [
            (3, "1", [AlterConfig(AUDIT.name, MIN_INSYNC, "1", "2")]),
            (3, "2", []),
            (3, "3", []),  # an operator may want more
            (5, "1", [AlterConfig(AUDIT.name, MIN_INSYNC, "1", "2")]),
            (2, "1", []),  # no broker could be missed
            (1, "1", []),
        ],
    )
    def test_two_of_three_replicas_must_have_a_record(
        self, replication: int, stated: str, steps: list[AlterConfig]
    ) -> None:
        states = {AUDIT.name: as_declared(AUDIT, replication=replication, min_insync_replicas=stated)}
        plan = plan_topics([AUDIT], states, PARTITIONS, replication)
        assert list(plan.steps) == steps
        assert plan.troubles == ()

    def test_unequal_counts_can_not_be_mended(self) -> None:
        states = {**ALL_THERE, SESSION.name: as_declared(SESSION, 3)}
        plan = plan_topics(TOPICS, states, PARTITIONS, 1)
        (trouble,) = plan.troubles
        assert "3: agent.session.v1; 6: agent.alert.status.v1, " in trouble.text
        assert "`stoplog topics apply`" in trouble.advice
        assert not plan.steps
        assert not plan.is_clean

    def test_a_broadcast_topic_of_many_partitions_can_not_be_mended(self) -> None:
        state = as_declared(REVOCATION)._replace(partitions=6)
        plan = plan_topics(TOPICS, {**ALL_THERE, REVOCATION.name: state}, PARTITIONS, 1)
        (trouble,) = plan.troubles
        assert "`agent.revocation.v1` has 6 partitions instead of 1" in trouble.text

    def test_too_few_replicas_can_not_be_mended(self) -> None:
        plan = plan_topics((INTENT,), {INTENT.name: as_declared(INTENT)}, PARTITIONS, 3)
        (trouble,) = plan.troubles
        assert "1 replicas" in trouble.text

    def test_nothing_is_ever_deleted(self) -> None:
        states = {**ALL_THERE, "agent.old.v0": TopicState("agent.old.v0", 1, 1, {})}
        assert plan_topics(TOPICS, states, PARTITIONS, 1).is_clean

    def test_what_is_declared_is_what_is_read(self) -> None:
        assert set(CONFIG_NAMES) == {*INTENT.config(), *REVOCATION.config(), *CONTENT_KEY.config(), MIN_INSYNC}


class TestAccess:
    def test_without_principals_nothing_is_asked_for(self) -> None:
        assert plan_access(TOPICS, None, principals()).is_clean
        assert plan_access(TOPICS, set(), principals()).is_clean

    def test_an_agent_may_write_intents_and_read_its_tenants_outcomes_and_nothing_else(self) -> None:
        topics = (*TOPICS, outcome_topic("acme"), outcome_topic("zeta"))
        by_tenant = {"acme": ("User:a",), "zeta": ("User:z",)}
        named = Principals({Role.AGENT: ("User:a", "User:z")}, "gates", {}, {}, by_tenant)
        acls = {acl for acl in declared_access(topics, named) if acl.principal == "User:a"}
        assert acls == {
            AclSpec("User:a", "TOPIC", INTENT.name, "WRITE"),
            AclSpec("User:a", "TOPIC", REPORT.name, "WRITE"),
            AclSpec("User:a", "TOPIC", "agent.outcome.acme.v1", "READ"),
            AclSpec("User:a", "GROUP", READER_GROUP, "DESCRIBE"),
        }

    def test_a_gate_may_write_the_outcomes_of_each_tenant(self) -> None:
        acls = set(declared_access((*TOPICS, outcome_topic("acme")), principals(gate="User:g")))
        assert AclSpec("User:g", "TOPIC", "agent.outcome.acme.v1", "WRITE") in acls
        assert AclSpec("User:g", "TOPIC", "agent.outcome.acme.v1", "READ") not in acls

    @pytest.mark.parametrize("name", [VERDICT.name, "agent.outcome.zeta.v1"])
    def test_an_agent_that_may_read_calls_or_other_tenants_outcomes_is_a_trouble(self, name: str) -> None:
        """Earlier versions let agents read the verdict topic; steps only add entries."""
        named = Principals({Role.AGENT: ("User:a",)}, "gates", {}, {}, {"acme": ("User:a",)})
        topics = (*TOPICS, outcome_topic("acme"))
        there = {*declared_access(topics, named), AclSpec("User:a", "TOPIC", name, "READ")}
        (trouble,) = plan_access(topics, there, named).troubles
        assert trouble.text == f"`User:a` may read topic `{name}`, although it is an agent"

    def test_an_executor_that_is_an_agent_too_may_read_verdicts(self) -> None:
        named = Principals({Role.AGENT: ("User:a",), Role.EXECUTOR: ("User:a",)}, "gates", {}, {}, {})
        there = set(declared_access(TOPICS, named))
        assert AclSpec("User:a", "TOPIC", VERDICT.name, "READ") in there
        assert plan_access(TOPICS, there, named).is_clean

    def test_a_tenants_topic_is_made_with_the_partitions_of_the_others(self) -> None:
        topic = outcome_topic("acme")
        (step,) = plan_topics((*TOPICS, topic), {t.name: as_declared(t, 12) for t in TOPICS}, 12, 1).steps
        assert isinstance(step, CreateTopic)
        assert (step.spec.name, step.spec.partitions) == ("agent.outcome.acme.v1", 12)

    @pytest.mark.parametrize("tenant", ["", "a|b", "a\x00b"])
    def test_a_tenant_that_no_record_can_have_is_rejected(self, tenant: str) -> None:
        with pytest.raises(PrincipalsError, match="a tenant must not be empty"):
            read_tenants({tenant: ["User:a"]})

    def test_a_tenants_principal_has_a_type(self) -> None:
        with pytest.raises(PrincipalsError, match=r"`topics\.tenants\.acme` names `a`"):
            read_tenants({"acme": ["a"]})

    def test_a_gate_gets_its_group_its_transactions_and_a_look_at_its_topics(self) -> None:
        acls = set(declared_access(TOPICS, principals(gate="User:g")))
        assert AclSpec("User:g", "GROUP", "gates", "READ") in acls
        ids = {acl for acl in acls if acl.resource == "TRANSACTIONAL_ID"}
        assert ids == {
            AclSpec("User:g", "TRANSACTIONAL_ID", "gates-g", "WRITE"),
            AclSpec("User:g", "TRANSACTIONAL_ID", "gates-g-budgets", "WRITE"),
            AclSpec("User:g", "TRANSACTIONAL_ID", "gates-g-notary", "WRITE"),
        }
        assert AclSpec("User:g", "TOPIC", GATE_CHANGELOG.name, "READ") in acls
        assert AclSpec("User:g", "TOPIC", GATE_CHANGELOG.name, "WRITE") in acls
        assert AclSpec("User:g", "TOPIC", INTENT.dlq, "WRITE") in acls
        assert AclSpec("User:g", "TOPIC", INTENT.name, "DESCRIBE_CONFIGS") in acls
        assert AclSpec("User:g", "TOPIC", INTENT.name, "WRITE") not in acls

    def test_gates_may_end_each_others_transactions_only_if_the_settings_say_so(self) -> None:
        both = principals(gate="User:g User:h")
        theirs = ("gates-h", "gates-h-budgets", "gates-h-notary")
        peers = {AclSpec("User:g", "TRANSACTIONAL_ID", name, "WRITE") for name in theirs}
        assert not peers & set(declared_access(TOPICS, both))
        taking_over = dataclasses.replace(both, gate_takeover=True)
        acls = set(declared_access(TOPICS, taking_over))
        assert peers <= acls
        assert not any(acl.prefixed for acl in acls)
        found = plan_access(TOPICS, acls, taking_over)
        assert found.is_clean

    def test_an_executor_gets_its_own_group_and_no_transactions(self) -> None:
        acls = set(declared_access(TOPICS, principals(executor="User:e User:f")))
        own = {acl for acl in acls if acl.principal == "User:e" and acl.resource != "TOPIC"}
        assert own == {
            AclSpec("User:e", "GROUP", "executor-e", "READ"),
            AclSpec("User:e", "GROUP", READER_GROUP, "DESCRIBE"),
        }
        assert AclSpec("User:e", "TOPIC", REPORT.name, "WRITE") in acls
        assert AclSpec("User:e", "TOPIC", SESSION.name, "WRITE") not in acls

    def test_no_entry_for_groups_and_transactions_has_a_prefix_and_each_is_of_one_principal(self) -> None:
        named = principals(executor="User:e User:f", gate="User:g User:h", token_service="User:t User:u")
        acls = declared_access(TOPICS, named)
        shared = {"gates", "gates-budgets", "gates-notary", READER_GROUP}
        own = [acl for acl in acls if acl.resource != "TOPIC" and acl.name not in shared]
        assert not any(acl.prefixed for acl in acls)
        assert len({acl.name for acl in own}) == len(own) == 2 + 6 + 2

    @pytest.mark.parametrize(
        "other",
        [
            AclSpec("User:e", "GROUP", "executor", "READ", prefixed=True),
            AclSpec("User:e", "GROUP", "executor-f", "READ"),
            AclSpec("User:e", "GROUP", "*", "READ"),
            AclSpec("User:e", "GROUP", "gates", "ALL"),
            AclSpec("User:e", "TRANSACTIONAL_ID", "executor", "WRITE", prefixed=True),
            AclSpec("User:a", "TRANSACTIONAL_ID", "anything", "WRITE"),
            AclSpec("User:g", "TRANSACTIONAL_ID", "gates-", "WRITE", prefixed=True),
            AclSpec("User:g", "TRANSACTIONAL_ID", "gates-h", "WRITE"),
        ],
    )
    def test_an_entry_by_which_one_could_take_the_place_of_another_is_a_trouble(self, other: AclSpec) -> None:
        """Earlier versions made entries with prefixes; steps only add entries."""
        named = principals(agent="User:a", executor="User:e User:f", gate="User:g User:h")
        plan = plan_access(TOPICS, {*declared_access(TOPICS, named), other}, named)
        assert plan.steps == ()
        (trouble,) = plan.troubles
        assert f"`{other.principal}` may use the {other.resource.lower().replace('_', ' ')}" in trouble.text
        assert "`kafka-acls --remove`" in trouble.advice

    def test_every_role_that_is_declared_leads_to_an_entry(self) -> None:
        roles = {role for topic in DECLARED for role in (*topic.readers, *topic.writers)}
        for role in roles | {Role.OPERATOR}:
            assert declared_access(TOPICS, principals(**{role.value.replace("-", "_"): "User:x"})), role

    def test_entries_that_are_there_are_not_asked_for_again(self) -> None:
        wanted = principals(agent="User:a", gate="User:g")
        there = set(declared_access(TOPICS, wanted))
        assert plan_access(TOPICS, there, wanted).is_clean
        missing = AclSpec("User:a", "TOPIC", INTENT.name, "WRITE")
        plan = plan_access(TOPICS, there - {missing}, wanted)
        assert plan.steps == (GrantAccess(missing),)
        assert str(plan.steps[0]) == "allow `User:a` to write topic `agent.intent.v1`"

    @pytest.mark.parametrize("operation", ["WRITE", "ALL"])
    def test_an_entry_of_an_earlier_version_that_lets_a_role_write_too_much_is_a_trouble(self, operation: str) -> None:
        """Executors wrote the gates' records once; steps only add entries."""
        named = principals(executor="User:e", gate="User:g")
        there = set(declared_access(TOPICS, named)) | {AclSpec("User:e", "TOPIC", AUDIT.name, operation)}
        plan = plan_access(TOPICS, there, named)
        assert plan.steps == ()
        (trouble,) = plan.troubles
        assert trouble.text == "`User:e` may write topic `agent.audit.v1`, although none of its roles does"
        assert "`kafka-acls --remove`" in trouble.advice

    @pytest.mark.parametrize(
        "other",
        [
            AclSpec("User:admin", "TOPIC", AUDIT.name, "WRITE"),
            AclSpec("User:e", "TOPIC", AUDIT.name, "READ"),
            AclSpec("User:e", "TOPIC", "our.own.topic", "WRITE"),
            AclSpec("User:e", "GROUP", AUDIT.name, "ALL"),
            AclSpec("User:e", "TOPIC", "agent.", "WRITE", prefixed=True),
        ],
    )
    def test_entries_that_we_did_not_make_are_not(self, other: AclSpec) -> None:
        named = principals(executor="User:e", gate="User:g")
        assert plan_access(TOPICS, {*declared_access(TOPICS, named), other}, named).is_clean

    def test_a_principal_of_two_roles_may_write_what_either_does(self) -> None:
        named = principals(soc="User:x", gate="User:x")
        assert plan_access(TOPICS, set(declared_access(TOPICS, named)), named).is_clean

    @pytest.mark.parametrize(
        "wider",
        [
            AclSpec("User:*", "TOPIC", INTENT.name, "WRITE"),
            AclSpec("User:a", "TOPIC", "*", "WRITE"),
            AclSpec("User:a", "TOPIC", INTENT.name, "ALL"),
            AclSpec("User:a", "TOPIC", "agent.", "WRITE", prefixed=True),
        ],
    )
    def test_a_wider_entry_will_do(self, wider: AclSpec) -> None:
        steps = plan_access((INTENT,), {wider}, principals(agent="User:a")).steps
        assert steps == ()

    @pytest.mark.parametrize(
        "other",
        [
            AclSpec("User:b", "TOPIC", INTENT.name, "WRITE"),
            AclSpec("User:a", "TOPIC", INTENT.name, "READ"),
            AclSpec("User:a", "GROUP", INTENT.name, "WRITE"),
            AclSpec("User:a", "TOPIC", "agent", "WRITE"),
            AclSpec("User:a", "TOPIC", "agent.session", "WRITE", prefixed=True),
        ],
    )
    def test_another_entry_will_not(self, other: AclSpec) -> None:
        steps = plan_access((INTENT,), {other}, principals(agent="User:a")).steps
        assert steps == (GrantAccess(AclSpec("User:a", "TOPIC", INTENT.name, "WRITE")),)

    def test_an_entry_for_a_prefix_covers_those_that_begin_with_it(self) -> None:
        wider = AclSpec("User:g", "TRANSACTIONAL_ID", "gates-", "WRITE", prefixed=True)
        steps = plan_access(TOPICS, {wider}, principals(gate="User:g")).steps
        assert not any(step.acl.resource == "TRANSACTIONAL_ID" for step in steps if isinstance(step, GrantAccess))
        literal = AclSpec("User:g", "TRANSACTIONAL_ID", "gates-", "WRITE")
        wanted = AclSpec("User:g", "TRANSACTIONAL_ID", "gates-g", "WRITE")
        assert GrantAccess(wanted) in plan_access(TOPICS, {literal}, principals(gate="User:g")).steps

    def test_a_log_without_an_authorizer_is_a_trouble_where_principals_are_named(self) -> None:
        (trouble,) = plan_access(TOPICS, None, principals(agent="User:a")).troubles
        assert "no authorizer" in trouble.text


class TestPrincipals:
    def test_roles_are_written_with_either_dash(self) -> None:
        read = read_principals({"token-service": ["User:a"], "rule_publishing": ["User:b", "User:c"]})
        assert read == {Role.TOKEN_SERVICE: ("User:a",), Role.RULE_PUBLISHING: ("User:b", "User:c")}

    def test_an_unknown_role_is_an_error_with_a_suggestion(self) -> None:
        with pytest.raises(PrincipalsError, match=r"unknown role `executer`; did you mean `executor`\?"):
            read_principals({"executer": ["User:a"]})

    @pytest.mark.parametrize("principal", ["alice", "User:", ""])
    def test_a_principal_has_a_type(self, principal: str) -> None:
        with pytest.raises(PrincipalsError, match="`User:name`"):
            read_principals({"agent": [principal]})

    @pytest.mark.parametrize(
        ("section", "what"),
        [
            ({"principals": {"gate": ["User:g"]}}, "names no instance of `User:g`"),
            ({"principals": {"token-service": ["User:t"]}}, "names no instance of `User:t`"),
            (
                {"principals": {"gate": ["User:g", "User:h"]}, "instances": {"User:g": ["one"], "User:h": ["one"]}},
                "gives `one` to `User:g` and to `User:h`",
            ),
            (
                {
                    "principals": {"executor": ["User:e", "User:f"]},
                    "executor_groups": {"User:e": ["mail"], "User:f": ["git", "mail"]},
                },
                "gives `mail` to `User:e` and to `User:f`",
            ),
            ({"instances": {"g": ["one"]}}, "write a principal as `User:name`"),
            ({"executor_groups": {"User:e": [""]}}, "has an empty name for `User:e`"),
            (
                {"principals": {"executor": ["User:x"], "gate": ["User:x"]}, "instances": {"User:x": ["one"]}},
                "both gate and executor",
            ),
            (
                {"principals": {"agent": ["User:x"], "token-service": ["User:x"]}, "instances": {"User:x": ["one"]}},
                "both token-service and agent",
            ),
        ],
    )
    def test_what_would_be_shared_is_refused(self, section: dict[str, Any], what: str) -> None:
        with pytest.raises(PrincipalsError, match=what):
            principals_of(TopicsSection(**section), "gates")

    def test_a_token_service_and_a_gate_on_one_host_have_one_instance_name(self) -> None:
        stated = {"gate": ["User:g"], "token-service": ["User:t"]}
        section = TopicsSection(principals=stated, instances={"User:g": ["one"], "User:t": ["one"]})
        names = {acl.name for acl in declared_access(TOPICS, principals_of(section, "gates"))}
        assert {"gates-one", "gates-one-budgets", "stoplog-sts-one"} <= names


def test_one_replica_is_warned_of_and_more_are_not() -> None:
    warning = replication_warning(1)
    assert warning is not None
    assert "stops" in warning.text
    assert "kafka-reassign-partitions" in warning.advice
    assert [replication_warning(count) for count in (2, 3)] == [None, None]
