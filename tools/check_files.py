"""Checks what holds for every file: length, width, READMEs, forbidden words.

Each problem names the file and line, what is wrong and what would be right.
"""

import pathlib
import py_compile
import re
import sys
import tempfile

import source_tree

MAX_LINES = 600
MAX_TEST_LINES = 800
MAX_README_LINES = 60
MAX_COLUMNS = 80
SOURCES = (".h", ".cc", ".proto", ".py", ".sh")
CODE_FOLDERS = source_tree.LAYERS + ("tests", "tools", "cmake")

# The patterns are written so that they do not match themselves.
FORBIDDEN = [
    (r"\b(TO[D]O|FIX[M]E|XX[X])\b(?!\([^)]+\): \S)",
     "an open end without a reason; do it, or write its name with a reason "
     "in parentheses, a colon and what to do"),
    (r"(?<![\w.$}/~-])/(wor[k]|roo[t]|hom[e])/\w",
     "a path of one machine; derive it or take it as an argument"),
    (r"\.\./share[d]/", "a path outside the repository"),
    (r"\b(pypi[.]org|pythonhosted[.]org|repo1?[.]maven[.]|proxy[.]golang[.]"
     r"|sum[.]golang[.]|deb[.]debian[.]org|\w+[.]pkg[.]dev"
     r"|registry-1[.]docker|index[.]docker[.]io|registry[.]npmjs)",
     "a registry host; leave it to the client's own configuration"),
]
WIDE = re.compile(r"https?://\S+|^\s*#\s*include\b|^import \"")


def is_source(name):
    return name.endswith(SOURCES)


def is_data(name):
    return name.endswith((".json", ".csv", ".lock", ".png", ".svg"))


def check_size(name, text):
    lines = text.splitlines()
    limit = MAX_LINES
    if source_tree.in_folder(name, "tests"):
        limit = MAX_TEST_LINES
    if len(lines) > limit:
        yield (f"{name}: {len(lines)} lines, at most {limit}; split it by "
               "idea")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS and not WIDE.search(line):
            yield (f"{name}:{number}: {len(line)} columns, at most "
                   f"{MAX_COLUMNS}")


def check_words(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        for pattern, advice in FORBIDDEN:
            match = re.search(pattern, line)
            if match:
                yield f"{name}:{number}: '{match.group(0)}' is {advice}"


def check_readmes(names):
    """Every folder with sources explains itself within a screen."""
    folders = {str(pathlib.PurePath(n).parent) for n in names
               if is_source(n) and n.split("/", 1)[0] in CODE_FOLDERS}
    for folder in sorted(folders):
        # A mirror of the source tree, or a path that protoc asks for.
        if folder.startswith(("tests/unit/", "proto/kafed")):
            continue
        readme = f"{folder}/README.md"
        if readme not in names:
            yield (f"{folder}: no README.md; say its purpose, main types and "
                   "reading order in at most a screen")
            continue
        length = len((source_tree.read(readme) or "").splitlines())
        if length > MAX_README_LINES:
            yield (f"{readme}: {length} lines, at most {MAX_README_LINES}; "
                   "the rest belongs in docs/")


def check_python(name):
    with tempfile.TemporaryDirectory() as folder:
        try:
            py_compile.compile(str(source_tree.ROOT / name), doraise=True,
                               cfile=f"{folder}/out.pyc")
        except py_compile.PyCompileError as error:
            yield f"{name}: does not compile: {error.msg.strip()}"


def check():
    names = source_tree.files()
    problems = list(check_readmes(set(names)))
    for name in names:
        text = source_tree.read(name)
        if text is None or is_data(name):
            continue
        problems += check_words(name, text)
        if is_source(name):
            problems += check_size(name, text)
        if name.endswith(".py"):
            problems += check_python(name)
    return problems


def main():
    problems = check()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
