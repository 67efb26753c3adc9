"""Policy changes while clients ask: the old one or the new one, whole, and never one that does not load."""

from pathlib import Path

from fault_site import POLICY, Gateway, Issuer, Load, Site, until

QUERY = "SELECT id, email FROM people WHERE id <= 3"
MASKED = {"before": "***@mail.example", "after": "GONE"}


def version(gateway: Gateway) -> str:
    answer = gateway.query("dee", "SELECT 1", connection="lite")
    return str(answer.json()["policy_version"])


def replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)


def test_a_broken_file_leaves_the_old_policy_and_no_answer_mixes_two(tmp_path: Path, issuer: Issuer) -> None:
    site = Site(folder=tmp_path, issuer=issuer)
    rules, masks = site.policies / "policy.csv", site.policies / "masks.yaml"
    good, old_masks = rules.read_text(), masks.read_text()
    with site.run() as gateway, Load(gateway, 4, [("lite", QUERY), ("lite", QUERY + " AND {n} >= 0")]) as load:
        old = version(gateway)
        load.wait_for(50)
        rules.write_text(good + "p, user:ana, lite/main.people, selekt, allow,\n")
        with gateway.client() as client:
            until(lambda: client.get("/readyz").json()["policy"] is False, what="readiness says so")
            assert client.get("/readyz").status_code == 200
        assert version(gateway) == old
        (broken,) = [entry for entry in gateway.logged() if entry["operation"] == "policy_broken"]
        assert any("policy.csv" in finding for finding in broken["findings"])
        rules.write_text(good)
        with gateway.client() as client:
            until(lambda: client.get("/readyz").json()["policy"] is True, what="readiness comes back")
        assert version(gateway) == old
        replace(masks, old_masks.replace("{kind: partial, email: true}", "{kind: constant, value: GONE}"))
        new = until(lambda: (found := version(gateway)) != old and found, what="the new policy")
        so_far = len(load.answers)
        load.wait_for(so_far + 50)
        load.stop()
        activated = [entry for entry in gateway.logged() if entry["operation"] == "policy_activated"]
        assert [(entry["policy_version_before"], entry["policy_version"]) for entry in activated] == [(old, new)]
        log = gateway.logged()
    shown = {old: MASKED["before"], new: MASKED["after"]}
    assert {answer.document["policy_version"] for answer in load.answers} == {old, new}
    for answer in load.answers:
        document = answer.document
        assert {row[1] for row in document["rows"]} == {shown[document["policy_version"]]}
        assert answer.on_record(log)["policy_version"] == document["policy_version"]


def test_an_access_taken_away_is_gone_with_the_version_that_takes_it(tmp_path: Path, issuer: Issuer) -> None:
    site = Site(folder=tmp_path, issuer=issuer)
    rules = site.policies / "policy.csv"
    without_ana = "".join(line for line in POLICY.splitlines(True) if "ana, lite" not in line and " pg/" not in line)
    with site.run() as gateway, Load(gateway, 4, [("lite", QUERY)]) as load:
        old = version(gateway)
        assert gateway.query("ana", QUERY, connection="lite").status_code == 200
        replace(rules, without_ana)
        new = until(lambda: (found := version(gateway)) != old and found, what="the new policy")
        for _ in range(3):
            assert gateway.query("ana", QUERY, connection="lite").status_code in (403, 404)
        assert gateway.query("dee", QUERY, connection="lite", unmask=["pii.email"]).json()["policy_version"] == new
        load.stop()
    assert {answer.document["policy_version"] for answer in load.answers if answer.status == 200} == {old}
    assert load.answers[-1].status in (403, 404)
