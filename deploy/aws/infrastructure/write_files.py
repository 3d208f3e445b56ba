"""Write the files that FILES names, a JSON object of texts, into the folder that is the argument."""

import json
import os
import sys
from pathlib import Path

for name, text in json.loads(os.environ["FILES"]).items():
    path = Path(sys.argv[1], name)
    path.write_text(text, encoding="ascii")
    path.chmod(0o644)
