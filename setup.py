"""The wheel from the repository's root, for a git address: Vercel's builder drops the folder of `#subdirectory=lib`.

lib/pyproject.toml says what the wheel is. A second one here would be Vercel's list of what this repository installs.
"""

import tomllib
from pathlib import Path

from setuptools import setup

LIB = Path(__file__).parent / "lib"
PACKAGE = LIB / "kairo_metrics"
about = tomllib.loads((LIB / "pyproject.toml").read_text())["project"]
files = [file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts]

setup(
    name=about["name"],
    version=about["version"],
    description=about["description"],
    license=about["license"],
    python_requires=about["requires-python"],
    install_requires=about["dependencies"],
    extras_require=about["optional-dependencies"],
    entry_points={"console_scripts": [f"{name} = {target}" for name, target in about["scripts"].items()]},
    package_dir={"": "lib"},
    packages=sorted(".".join(file.parent.relative_to(LIB).parts) for file in files if file.name == "__init__.py"),
    package_data={"kairo_metrics": sorted(file.relative_to(PACKAGE).as_posix() for file in files)},
)
