"""`python -m tools.openapi` writes the document; `--check` only tells whether the one that is there is right."""

import sys

from tools.openapi.document import TARGET, as_text, document


def main() -> None:
    made = as_text(document())
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(made)
    elif not TARGET.exists() or TARGET.read_text() != made:
        sys.exit("The API's document is not what the functions declare. Run: make openapi")


if __name__ == "__main__":
    main()
