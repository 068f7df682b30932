"""Builds data/types.json, kinds.json and internal.json of kaito/local/apiserver: built-in kinds.

Field types and required fields come from the `kubernetes` package, the rest (which fields there are
and in which order, number widths, Go types, zero values, list keys, patch strategies) from
apiserver_types.txt beside this file.
Run it after raising the version of that package; the data files are committed.
"""

from __future__ import annotations

import ast
import json
import pathlib
import re

import kubernetes.client.models as models

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "kaito/local/apiserver/data"
SCALARS = {"str": "s", "int": "i32", "bool": "b", "float": "f", "datetime": "t", "object": "raw"}
SKIPPED = re.compile(r"alpha|beta|/well-known|openid|/logs/|apiregistration|internal.apiserver")
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def code(kind: str, annotation: str) -> str:
    """The wire type of an OpenAPI type name such as `list[V1Container]`."""
    if found := re.match(r"[Ll]ist\[(.*)\]$", kind):
        return "L" + code(found[1], "")
    if found := re.match(r"[Dd]ict[\[(]str, (.*)[\])]$", kind):
        return "M" + code(found[1], "")
    if kind == "object" and "StrictInt" in annotation and "StrictStr" in annotation:
        return "ios"
    return SCALARS.get(kind) or "R:" + kind


def entries() -> list[str]:
    text = (HERE / "apiserver_types.txt").read_text().replace("\n  ", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def overlay() -> dict[str, tuple[list[str], dict[str, list[str]]]]:
    """By model: its own tokens, and the tokens of its fields in the order of the Go struct."""
    table: dict[str, tuple[list[str], dict[str, list[str]]]] = {}
    for line in entries():
        head, _, body = line.partition(":")
        if " = " not in line:
            model, *flags = head.split()
            fields = [entry.split() for entry in body.split(";") if entry]
            table[model] = flags, {name: tokens for name, *tokens in fields}
    return table


def internal() -> dict[str, str]:
    """The structs that the server itself keeps in another form, by their Go names."""
    parts = (line.partition(" = ") for line in entries())
    return {name: body for name, found, body in parts if found}


def build_types(wanted: set[str]) -> dict[str, dict[str, str]]:
    extra = overlay()
    types: dict[str, dict[str, str]] = {}
    queue = sorted(wanted)
    while queue:
        name = queue.pop()
        cls = getattr(models, name, None)
        if name in types or name not in extra:
            continue
        if cls is None:
            types[name] = {}  # a struct without fields, which the package does not have
            continue
        flags, known = extra[name]
        fields: dict[str, str] = {"-": " ".join(flags)} if flags else {}
        attributes = {wire: a for a, wire in cls.attribute_map.items()}
        for wire, given in known.items():
            tokens = list(given)
            attribute = attributes.get(wire, "")
            kind = cls.openapi_types.get(attribute, "object")
            info = cls.model_fields.get(attribute) or cls.model_fields.get("var_" + attribute)
            narrow = next((t[5:] for t in tokens if t.startswith("type=")), "")
            tokens = [t for t in tokens if not t.startswith("type=")]
            wire_type = narrow or code(kind, str(info.annotation) if info else "")
            if info is not None and info.is_required():
                tokens.append("required")
            fields[wire] = " ".join([wire_type, *tokens])
            if found := re.search(r"R:(\w+)", wire_type):
                queue.append(found[1])
        types[name] = fields
    return dict(sorted(types.items()))


def operations() -> list[tuple[str, str, str, str]]:
    """(path, method, model answered, model sent) of each call of the API classes."""
    found = []
    folder = pathlib.Path(models.__file__).parent.parent / "api"
    for file in sorted(folder.glob("*_api.py")):
        tree = ast.parse(file.read_text())
        for fn in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            text = ast.unparse(fn)
            path = re.search(r"resource_path='([^']*)'", text)
            method = re.search(r"method='(\w+)'", text)
            if path and method and fn.name.endswith("_serialize"):
                public = fn.name.strip("_").removesuffix("_serialize")
                peer = next(
                    n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == public
                )
                answer = re.search(r"'20[01]': ['\"]([\w\[\], ]+)['\"]", ast.unparse(peer))
                body = next(
                    (
                        ast.unparse(a.annotation)
                        for a in peer.args.args
                        if a.arg == "body" and a.annotation
                    ),
                    "",
                )
                sent = re.search(
                    r"\b((?:Core|Events|Authentication|Storage|Resource|\w*?)V\d\w+)", body
                )
                found.append(
                    (path[1], method[1], answer[1] if answer else "", sent[1] if sent else "")
                )
    return found


def build_kinds() -> list[dict[str, object]]:
    """One entry per built-in resource: where it is served, its model, verbs, subresources."""
    kinds: dict[tuple[str, str, str], dict[str, object]] = {}
    calls = operations()
    for path, method, answer, sent in sorted(calls):
        if (
            SKIPPED.search(path)
            or "/watch/" in path
            or "{path}" in path
            or method in {"HEAD", "OPTIONS"}
        ):
            continue
        place = re.match(
            r"/(?:api|apis/([^/]+))/(v\w+)/(namespaces/\{namespace\}/)?(\w+)"
            r"(/\{name\})?(?:/(\w+))?$",
            path,
        )
        if not place:
            continue
        group, version = place[1] or "", place[2]
        namespaced, plural, one, sub = bool(place[3]), place[4], bool(place[5]), place[6] or ""
        if plural == "namespaces" and place[3] is None and not one and sub:
            continue
        entry = kinds.setdefault(
            (group, version, plural),
            {
                "group": group,
                "version": version,
                "plural": plural,
                "namespaced": False,
                "verbs": set(),
                "subresources": {},
            },
        )
        if namespaced:
            entry["namespaced"] = True
        verb = {
            "GET": "get",
            "PUT": "update",
            "PATCH": "patch",
            "POST": "create",
            "DELETE": "delete",
        }[method]
        if sub:
            subs = entry["subresources"]
            assert isinstance(subs, dict)
            at = subs.setdefault(sub, {"model": "", "verbs": []})
            at["verbs"] = sorted({*at["verbs"], verb})
            at["model"] = at["model"] or sent or answer
            continue
        verbs = entry["verbs"]
        assert isinstance(verbs, set)
        if not one and verb == "get":
            if answer.endswith("List"):
                entry.setdefault("list", answer)
                verbs |= {"list", "watch"}
        elif not one and verb == "delete":
            verbs.add("deletecollection")
        else:
            verbs.add(verb)
            if verb in {"get", "create"} and answer.startswith(
                ("V", "Core", "Events", "Auth", "Resource")
            ):
                entry.setdefault("model", sent or answer)
    served = overlay()
    result = []
    for entry in kinds.values():
        model, subs = str(entry.get("model")), entry["subresources"]
        if model not in served:
            continue
        assert isinstance(subs, dict)
        if "status" not in served[model][1]:
            subs.pop("status", None)
        verbs = entry["verbs"]
        assert isinstance(verbs, set)
        entry["verbs"] = [v for v in VERBS if v in verbs]
        result.append(entry)
    return result


def main() -> None:
    kinds = build_kinds()
    wanted = {
        "V1ObjectMeta",
        "V1DeleteOptions",
        "V1Status",
        "V1Scale",
        "V1Eviction",
        "V1Binding",
        "V1Namespace",
        "AuthenticationV1TokenRequest",
    }
    for entry in kinds:
        wanted.add(str(entry["model"]))
        subs = entry["subresources"]
        assert isinstance(subs, dict)
        wanted |= {s["model"] for s in subs.values()}
    OUT.mkdir(parents=True, exist_ok=True)
    types = build_types(wanted)
    for name, data in (("types", types), ("kinds", kinds), ("internal", internal())):
        lines = [
            json.dumps(x, separators=(",", ":"))
            for x in (data.items() if isinstance(data, dict) else data)
        ]
        if isinstance(data, dict):
            body = (
                "{\n"
                + ",\n".join(
                    f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}"
                    for k, v in data.items()
                )
                + "\n}\n"
            )
        else:
            body = "[\n" + ",\n".join(lines) + "\n]\n"
        (OUT / f"{name}.json").write_text(body)
    print(len(types), "types,", len(kinds), "kinds")


if __name__ == "__main__":
    main()
