"""What a person at a terminal reads of an answer that holds more: no payloads, no pages. ``--json`` gives all of it."""

from __future__ import annotations

from typing import Any

from tollgate.numerals import numeral

Answer = dict[str, Any]


def models(answer: Answer) -> Answer:
    """One line a version, with what its test months showed."""
    return {"book": answer["book"], "models": [
        {"version": m["version"], "state": m["state"], "as of": m["as_of"], "AUC": f"{m['metrics']['auc']:.3f}",
         "KS": f"{m['metrics']['ks']:.3f}", "missed defaults": f"{m['metrics']['false_negative_rate']:.1%}",
         "digest": m["digest"]}
        for m in answer["models"]]}


def history(answer: Answer) -> Answer:
    """One line a decision, with when the person answered."""
    return {"book": answer["book"], "decisions": [_decision(d, d["version"], d["seq"]) for d in answer["decisions"]]}


def trace(answer: Answer) -> Answer:
    """The scores of a loan, the rows behind them, what each model was made of, and who put it into service."""
    models = answer["models"].items()
    return {
        "book": answer["book"], "loan": answer["loan_id"],
        "scores": [{**_score(s), "reasons": s["reasons"], "run": s["run_id"]} for s in answer["scores"]],
        **({"superseded": [{**_score(s), "by attempt": s["superseded_by"]} for s in answer["superseded"]],
            "opened again": [{"night": o["night"], "by": o["by"], "why": o["comment"]} for o in answer["reopened"]]}
           if answer["superseded"] else {}),
        **({"in the shadow": [_score(s) for s in answer["shadows"]]} if answer["shadows"] else {}),
        "models": [{"version": version, "as of": m["as_of"], "digest": m["digest"], "snapshot": m["snapshot"],
                    "commit": m["commit"]} for version, m in models],
        "decisions": [_decision(d, version, d["ledger"]) for version, m in models for d in m["decisions"]],
        "made of": [{"table": r["table"], "key": ", ".join(map(str, r["key"].values())), "told": r["told"],
                     "version": r["version"], "file": r["file"], "line": r["line"]} for r in answer["rows"]],
        **({"in quarantine": [{**line, "fingerprint": line["fingerprint"][:12]} for line in answer["quarantined"]]}
           if answer["quarantined"] else {})}


def alerts(answer: Answer) -> Answer:
    """One line an alert, with who has seen it."""
    return {"book": answer["book"], "alerts": [
        {"alert": a["event"], "status": a["status"], "since": a["since"], "severity": a["severity"],
         "seen by": (a["acknowledged"] or {}).get("by", ""), "what": a["message"]} for a in answer["alerts"]]}


def alert(answer: Answer) -> Answer:
    """One line a night."""
    seen = answer["acknowledged"]
    return {"book": answer["book"], "alert": answer["event"], "since": answer["since"],
            **({"seen by": seen["by"], "comment": seen["comment"]} if seen else {}),
            "nights": [{"night": n["as_of"], "status": n["status"], **{
                name: "" if n[name] is None else numeral(n[name], 4) for name in ("value", "limit")},
                "what": n["message"]} for n in answer["nights"]]}


def explain(answer: Answer) -> Answer:
    """The decision, its reasons as an applicant reads them, and what moved the score, the largest first."""
    codes = [one["code"] for one in answer["reasons"]]
    return {
        "book": answer["book"], "loan": answer["loan_id"], "night": answer["night"],
        "version": answer["model_version"], "decision": answer["decision"], "score": f"{answer['score']:.4f}",
        "threshold": f"{answer['threshold']:.4f}",
        **{f"reason {n}": one["sentence"] for n, one in enumerate(answer["reasons"], start=1)},
        **({} if answer["published"] == codes else {"published": answer["published"]}),
        **({"would be approved": "; ".join(_change(one) for one in answer["changes"]) or "no change was found"}
           if "changes" in answer else {}),
        "nothing known": f"{answer['base_log_odds']:+.4f} log-odds",
        "contributions": [{"feature": part["feature"], "value": part["value"],
                           "log-odds": f"{part['contribution']:+.4f}"} for part in answer["contributions"]],
        "together": f"{answer['log_odds']:+.4f} log-odds", "html": answer["html"]}


def _change(change: Answer) -> str:
    return " and ".join(f"{name} {value} (not {change['from'][name]})" for name, value in change["to"].items())


def card(answer: Answer) -> Answer:
    """What a model is for, how its gates judged it, and what people decided."""
    facts = answer["facts"]
    return {
        "book": answer["book"], "version": answer["version"], "state": answer["state"], "as of": answer["as_of"],
        "digest": answer["digest"], "intended use": facts["use"], "limits": " ".join(facts["limits"]),
        "gates": [{key: gate[key] for key in ("gate", "verdict", "sentence")} for gate in facts["gates"]],
        "decisions": [_decision(d, answer["version"], d["line"]) for d in answer["decisions"]], "html": answer["html"]}


def nights(answer: Answer) -> Answer:
    """One line a night."""
    return {"book": answer["book"], "nights": [
        {"attempt": n["attempt"], "version": n["version"], "rows": n["rows"], "scored": n["scored"],
         "refused": n["refused"], "declined": n["declined"], "run": n["run"]} for n in answer["nights"]]}


def scorecard(answer: Answer) -> Answer:
    """A line a bin; the points of a loan are the base and those of its bins."""
    of = "the model itself" if answer["is_model"] else "the baseline that the model had to beat"
    return {"book": answer["book"], "version": answer["version"], "this is": of, "base points": answer["base_points"],
            "bins": [{"feature": line["feature"], "bin": line["bin"], "loans": f"{line['loans']:,}",
                      "default rate": "" if line["default_rate"] is None else f"{line['default_rate']:.1%}",
                      "points": f"{line['points']:+d}"} for line in answer["bins"]]}


def taken_in(answer: Answer) -> Answer:
    """One line a file that was taken in, with what it changed; the log has told its warnings."""
    return {"book": answer["book"], **{level: answer[level] for level in ("refused", "unreadable") if answer[level]},
            "files": [{"file": f["file"], "rows": f["received"], "published": f["published"],
                       "quarantined": f["quarantined"], "new": f["added"], "restated": f["restated"],
                       "warnings": len(f["warnings"])} for f in answer["files"]]}


def _score(row: Answer) -> Answer:
    which = row["day"] if row["population"] == "new" else f"{row['day']} {row['population']}"
    return {"night": which, "attempt": row["attempt"], "version": row["model_version"],
            "score": "" if row["score"] is None else f"{row['score']:.4f}",
            "decision": row["decision"] or f"{row['status']}: {row['refusal']}"}


def _decision(record: Answer, version: str, line: object) -> Answer:
    when = record["answered_at"] or record["at"]
    return {"line": line, "when (UTC)": when[:19].replace("T", " "), "what": record["kind"], "version": version,
            "by": record["by"], "why": record["comment"]}


def started(answer: Answer) -> Answer:
    """Where the pages of a cluster are and who may log in."""
    return {**answer["pages"], "who may log in": "the names and passwords in .env; docs/doors.md says who may do what",
            "next": "docs/operating.md; `make cluster-stop` ends it and keeps its data"}


def instances(answer: Answer) -> Answer:
    """One line an instance."""
    return {"services": [{name: one[name] for name in ("instance", "state", "restarts", "code", "pid", "address")}
                         for one in answer["services"]]}


def drafted(answer: Answer) -> Answer:
    """What a draft concluded, without the evidence, which stands in the module."""
    return {**{name: answer[name] for name in ("book", "module", "parameters", "files", "key", "applied_on", "as_of",
                                               "personal", "protected", "later") if name in answer},
            "outcome": " ".join(answer["outcome"]) or "none was found", "features": len(answer["features"]),
            "ignored": list(answer["ignored"]), "to do": answer["todo"], "look at": answer["look_at"],
            "next": answer["next"]}


def checked(answer: Answer) -> Answer:
    """A book that loads, a file that was judged, and the limits that its fits suggest."""
    shown = {name: value for name, value in answer.items() if name not in ("file", "suggested", "next")}
    if file := answer.get("file"):
        shown |= {name: file[name] for name in ("file", "received", "good", "bad", "verdict", "warnings")}
        shown["reasons"] = file["reasons"]
    if found := answer.get("suggested"):
        shown |= {"looked at the fits as of": found["as_ofs"],
                  "limits": [{**line, "measured": "; ".join(line["measured"].values())} for line in found["limits"]],
                  "scorecard": "; ".join(found["scorecard"]), "advice": found["advice"],
                  "to paste": "\n" + found["params"] if found["params"] else "nothing"}
    return {**shown, "next": answer["next"]}


def examined(answer: Answer) -> Answer:
    """A line a check, how it stands first; below those that are not well, each finding and its remedy."""
    checks: dict[str, list[Answer]] = {}
    for finding in answer["findings"]:
        checks.setdefault(finding["check"], []).append(finding)
    shown = {}
    for name, found in checks.items():
        level = max((one["level"] for one in found), key=("ok", "warning", "error").index)
        told = [f"{one['found']}\n    -> {one['remedy']}" for one in found if one["level"] != "ok"]
        shown[f"{level:7} {name}"] = "\n    ".join(told or ["; ".join(one["found"] for one in found)])
    return {**shown, "so": "all is well" if answer["well"] and not answer["warnings"] else
            f"{answer['errors']} errors, {answer['warnings']} warnings"
            + ("; what is wrong may pass by itself" if answer["passing"] else "")}
