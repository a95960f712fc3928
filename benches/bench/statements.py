"""What a call of Tine sends to PostgreSQL, taken from the server's log, as a script for pgbench."""

import os
import re
import tomllib

# Continuation lines of a logged entry begin with a tab.
EXECUTE = re.compile(
    r"^\S+ \S+ \S+ \[\d+\] (?P<database>\S+) LOG:  execute tine_\w+: (?P<statement>.*(?:\n\t.*)*)\n"
    r"(?:\S+ \S+ \S+ \[\d+\] \S+ DETAIL:  parameters: (?P<values>.*(?:\n\t.*)*)\n)?",
    re.MULTILINE,
)
PLANS = re.compile(r"\bSET (?P<local>LOCAL )?plan_cache_mode = (\w+)")
VALUE = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


class Sent:
    """The statements of one call in their order, and the database that they went to."""

    def __init__(self, text):
        self.database, self.statements = None, []
        # How the session is told to plan, if it is.
        self.plans = (PLANS.findall(text) or [(None, None)])[-1][1]
        for found in EXECUTE.finditer(text):
            # The probe of its health is not the tool's.
            if "tine_q" not in found["statement"]:
                continue
            self.database = found["database"]
            values = VALUE.findall((found["values"] or "").replace("\n\t", "\n"))
            self.statements.append((found["statement"].replace("\n\t", "\n"), {int(number): value for number, value in values}))


def script(sent, tool_file, path):
    """Writes pgbench's script for several calls of one tool that send the same statements with other values, and returns the variables
    that it needs."""
    types, source = front_matter(tool_file)
    kinds = {tuple(statement for statement, _ in one.statements) for one in sent}
    if len(kinds) != 1:
        raise SystemExit(f"bench: the usual calls of {tool_file} send different statements")
    # Which call's values a transaction takes.
    lines, variables = [f"\\set turn random(1, {len(sent)})\n"], {}
    for place, (statement, _) in enumerate(sent[0].statements):
        names = parameter_names(source, statement)

        def typed(found, place=place, names=names):
            number = int(found[1])
            name, kind = names[number], types[names[number]]
            values = [one.statements[place][1][number] for one in sent]
            if len(set(values)) > 1:
                return f"(ARRAY[{', '.join(map(without_colons, values))}]::{kind}[])[(:turn)::int4]"
            # pgbench takes no empty variables.
            if values[0] in ("NULL", "''"):
                return f"{values[0]}::{kind}"
            variables[name] = values[0][1:-1].replace("''", "'")
            return f"(:{name})::{kind}"

        lines.append(re.sub(r"\$(\d+)", typed, without_colons(statement)).replace("\n", " ") + ";\n")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines)
    os.chmod(path, 0o644)
    return variables


def front_matter(tool_file):
    """The types of a tool's parameters, and the SQL that follows."""
    with open(tool_file, encoding="utf-8") as file:
        toml, source = file.read().removeprefix("/*+++").split("+++*/", 1)
    types = {name: postgres_type(table) for name, table in tomllib.loads(toml).get("params", {}).items()}
    # What the server gives to a tool with effects.
    return {**types, "plan": "json", "outcome": "json"}, source


def postgres_type(parameter):
    """As docs/tools.md says how a parameter is sent."""
    kind = parameter.get("type", "json" if parameter.get("from", "").startswith("file.") else "text")
    if kind == "integer":
        small = all(name in parameter and -(2**31) <= parameter[name] < 2**31 for name in ("min", "max"))
        return "int4" if small else "int8"
    return {"number": "float8", "object": "jsonb"}.get(kind, kind)


def parameter_names(source, statement):
    """The parameter that each number stands for. Kept lines of the file are lines of the statement; only its first and last have more."""
    names = {}
    lines = [line.strip() for line in statement.split("\n")]
    for line in source.split("\n"):
        given = PARAMETER.findall(line)
        if not given:
            continue
        pattern = re.escape(PARAMETER.sub("\0", line.strip().removesuffix(";"))).replace("\0", r"\$(\d+)")
        found = [match for match in (re.fullmatch(pattern, kept) for kept in lines) if match]
        found = found or [match for match in (re.search(pattern, kept) for kept in (lines[0], lines[-1])) if match]
        for match in found:
            names.update(zip(map(int, match.groups()), given))
    return names


def without_colons(statement):
    """pgbench takes `:word` for a variable of its own in literals too: there the colon is written as its code. Comments go, as the
    script has one line a statement."""

    def literal(found):
        text = found[0]
        if text.startswith("--"):
            return ""
        if not re.search(r":\w", text):
            return text
        return "U&" + text.replace("\\", "\\\\").replace(":", "\\003A")

    return re.sub(r"--[^\n]*|'(?:[^']|'')*'", literal, statement)
