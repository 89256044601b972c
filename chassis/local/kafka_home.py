"""Where Java, Maven and the jars of Apache Kafka are. The jars are fetched once, by Maven, below `build/kafka/`."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from chassis.local.child import ChildFailed

KAFKA_VERSION = "4.3.1"
_SLF4J_VERSION = "1.7.36"  # the API that Kafka 4.3 brings
JAVA_VERSION_MIN = 17
_FETCH_SECONDS = 600
_HOUSE = Path(__file__).resolve().parent.parent.parent

_POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>kelola.local</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <!-- What Kafka logs goes to its standard error; without a binding it would be silent. -->
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{slf4j_version}</version>
    </dependency>
  </dependencies>
  <build><plugins><plugin>
    <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
    <version>3.8.1</version>
  </plugin></plugins></build>
</project>
"""


@dataclass(frozen=True)
class Java:
    """A Java program and its major version."""

    program: Path
    version: int


@cache
def find_java() -> Java:
    """JAVA_HOME's java, or the one on the PATH; ChildFailed when there is none or it is too old."""
    candidates = [Path(home) / "bin" / "java"] if (home := os.environ.get("JAVA_HOME")) else []
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    found = []
    for program in candidates:
        if not os.access(program, os.X_OK):
            continue
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, timeout=30)
        match = re.search(r'version "(\d+)', answer.stderr)
        if match and int(match.group(1)) >= JAVA_VERSION_MIN:
            return Java(program, int(match.group(1)))
        found.append(f"{program} is {match.group(1) if match else 'unknown'}")
    raise ChildFailed(f"Java {JAVA_VERSION_MIN} or newer is needed; found: {', '.join(found) or 'none'}")


@cache
def maven_command() -> str:
    """The path of mvn; ChildFailed when there is none."""
    program = shutil.which("mvn")
    if program is None:
        raise ChildFailed("Maven (mvn) is needed to fetch Apache Kafka; it is not on the PATH")
    return program


def kafka_libraries() -> Path:
    """The folder of Kafka's jars: KELOLA_KAFKA_LIBRARIES (a Kafka distribution's `libs`), or fetched by Maven.

    Safe when several processes ask at once: one fetches, the others wait.
    """
    if given := os.environ.get("KELOLA_KAFKA_LIBRARIES"):
        return Path(given)
    home = _HOUSE / "build" / "kafka"
    jars = home / f"{KAFKA_VERSION}-slf4j-{_SLF4J_VERSION}"
    if jars.is_dir():
        return jars
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _fetch(jars)
    return jars


def _fetch(jars: Path) -> None:
    print(f"fetching Apache Kafka {KAFKA_VERSION} with Maven (once) …", file=sys.stderr, flush=True)
    with TemporaryDirectory(prefix=".fetch-", dir=jars.parent) as scratch:
        folder = Path(scratch)
        (folder / "pom.xml").write_text(
            _POM.format(version=KAFKA_VERSION, slf4j_version=_SLF4J_VERSION), encoding="utf-8"
        )
        done = subprocess.run(
            [
                *(maven_command(), "-q", "-B", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies"),
                *(f"-DoutputDirectory={folder / 'jars'}", "-DincludeScope=runtime"),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
        if done.returncode or not list((folder / "jars").glob("kafka_2.13-*.jar")):
            raise ChildFailed(
                f"Maven could not fetch Apache Kafka {KAFKA_VERSION}: {done.stdout[-2000:]}{done.stderr[-500:]}"
            )
        (folder / "jars").rename(jars)
