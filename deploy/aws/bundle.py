"""Build the folder that AWS Lambda runs: `python3.12 deploy/aws/bundle.py`, and then `sam deploy`.

The folder holds `api/`, `lib/` and the packages in requirements.txt, all compiled: Lambda can't write to the folder, so
without compiled files each cold start would compile everything again. Compiled files are for the Python that runs this
script, so run it with the version that the template names.
"""

from __future__ import annotations

import argparse
import compileall
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

REPOSITORY = Path(__file__).parents[2]
# The platforms of the wheels that run on Lambda's Amazon Linux 2023, by Lambda's name of the processor.
PLATFORMS = {
    "x86_64": ("manylinux2014_x86_64", "manylinux_2_28_x86_64"),
    "arm64": ("manylinux2014_aarch64", "manylinux_2_28_aarch64"),
}
ON_LAMBDA = "/var/task"


def main() -> None:
    """Build the folder, replacing an earlier one."""
    parser = argparse.ArgumentParser(description="Build the folder that AWS Lambda runs.")
    parser.add_argument(
        "--architecture", choices=PLATFORMS, default="x86_64", help="the architecture in the template (default: x86_64)"
    )
    parser.add_argument(
        "--target", type=Path, default=REPOSITORY / "dist" / "lambda", help="the folder (default: dist/lambda)"
    )
    options = parser.parse_args()
    target: Path = options.target.resolve()
    if target.exists():
        if not (target / "lib" / "kairo_metrics").is_dir():
            parser.error(f"{target} exists and is not an earlier bundle")
        shutil.rmtree(target)
    install_packages(target, options.architecture)
    copy_code(target)
    compile_all(target)
    sys.stdout.write(
        f"{target}: {sum(file.stat().st_size for file in target.rglob('*')) / 1e6:.0f} MB"
        f" for python{sys.version_info.major}.{sys.version_info.minor} on {options.architecture}\n"
    )


def install_packages(target: Path, architecture: str) -> None:
    """Install the packages that are deployed, as wheels for Lambda's system and not for this machine."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary=:all:", *(f"--platform={platform}" for platform in PLATFORMS[architecture])]
    command += [f"--target={target}", f"--requirement={REPOSITORY / 'requirements.txt'}"]
    subprocess.run(command, check=True)
    shutil.rmtree(target / "bin", ignore_errors=True)  # the packages' commands, which no function needs


def copy_code(target: Path) -> None:
    """Copy the functions and the library, without tests, docs and local settings."""
    for folder in ("api", "lib"):
        left_out = shutil.ignore_patterns("__pycache__", "*.pyc", "pyproject.toml", ".*")
        shutil.copytree(REPOSITORY / folder, target / folder, ignore=left_out)


def compile_all(target: Path) -> None:
    """Compile all files, without time stamps: a zip archive rounds them, and Python then ignores the compiled files."""
    compileall.compile_dir(
        target,
        quiet=1,
        workers=0,
        stripdir=target,
        prependdir=ON_LAMBDA,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


if __name__ == "__main__":
    main()
