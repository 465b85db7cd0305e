"""The npm package: packed from `web/`, installed without a network, and used as another project would."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
sys.path.insert(0, str(WEB))
toolchain = importlib.import_module("bundling.toolchain")
sys.path.insert(0, str(WEB / "examples"))
examples = importlib.import_module("serve")
STRICT = {
    "strict": True,
    "target": "ES2022",
    "module": "ES2022",
    "moduleResolution": "bundler",
    "jsx": "react-jsx",
    "lib": ["ES2023", "DOM", "DOM.Iterable"],
    "types": [],
}
# A project that uses the package; what it says wrongly on purpose must be an error.
PROJECT = """
import { PrelistenCheck, type Band } from "@prelisten/widget";
const check = document.querySelector("prelisten-check")!;
const band: Band | undefined = check.result?.band;
check.addEventListener("prelisten-error", (event) => { const help: string = event.detail.help; void help; });
const sent: Promise<{ token: string }> = PrelistenCheck.screen(new File([], "a.wav"), { action: "voice-upload" });
// @ts-expect-error There is no such property.
check.configure({ maxSecond: 60 });
// @ts-expect-error A state is not written from outside.
check.state = "done";
void [band, sent];
"""
# The same with every adapter, against the libraries that the examples are pinned to.
ADAPTED = """
import { createElement, useRef, useState } from "react";
import Uppy from "@uppy/core";
import { Upload } from "tus-js-client";
import { registerPlugin, setOptions } from "filepond";
import { h, ref } from "vue";
import type { PrelistenCheck as Element, Result } from "@prelisten/widget";
import { hintFor, type Hint } from "@prelisten/widget/hint";
import { Prelisten } from "@prelisten/widget/uppy";
import { prelisten, withHint as ondata } from "@prelisten/widget/filepond";
import { withHint } from "@prelisten/widget/tus";
import { PrelistenCheck } from "@prelisten/widget/react";
import { PrelistenCheck as VueCheck } from "@prelisten/widget/vue";

const file = new File([], "a.wav");
const hint: Promise<Hint> = hintFor(file, { action: "voice-upload", onResult: ({ band }) => void band });
// @ts-expect-error There is no such option.
hintFor(file, { acton: "voice-upload" });

const uppy = new Uppy().use(Prelisten, { name: "voice-hint", action: "voice-upload", wait: 5000 });
// @ts-expect-error There is no such option.
uppy.use(Prelisten, { naame: "voice-hint" });

registerPlugin(prelisten({ action: "voice-upload" }));
setOptions({ server: { process: { url: "/submit", ondata } } });

const sent = withHint(new Upload(file, { endpoint: "/files" }), { name: "voice-hint" });

export function Form() {
  const element = useRef<Element>(null);
  const [result, setResult] = useState<Result | null>(null);
  return (
    <PrelistenCheck ref={element} maxSeconds={60} className="mine" onResult={({ detail }) => setResult(detail)}>
      <input type="file" name={result?.band} />
      <prelisten-check action="voice-upload" max-seconds={60} onprelisten-result={({ detail }) => setResult(detail)} />
    </PrelistenCheck>
  );
}
// @ts-expect-error A number.
createElement(PrelistenCheck, { maxSeconds: "60" });
// @ts-expect-error There is no such property.
createElement(PrelistenCheck, { maxSecond: 60 });

const model = ref<Result | null>(null);
h(VueCheck, { maxSeconds: 60, result: model.value, "onUpdate:result": (result) => (model.value = result) });
// @ts-expect-error A number.
h(VueCheck, { maxSeconds: "60" });
void [hint, sent];
"""
SAME = """
import { PrelistenCheck as Real } from "WEB/src/element/element.js";
import { PrelistenCheck as Told, type Options } from "WEB/index.js";
export const instance: Told = new Real();
export const statics: Pick<typeof Told, "define" | "screen" | "warm"> = Real;
export const options: Options = new Real();
"""


@pytest.fixture(scope="module")
def node():
    """Node and npm, as the bundle finds them."""
    return toolchain.find_node(Path(sys.executable), print)


def call(node, *command: str, cwd: Path) -> str:
    """Run a command with that Node and return what it printed."""
    return toolchain.run(list(command), doing=command[0], say=print, cwd=cwd, env=node.environment())


def tsc(node, project: Path, cwd: Path) -> None:
    """Compile a project; fails with the compiler's words."""
    compiler = WEB / "node_modules" / "typescript" / "bin" / "tsc"
    call(node, str(node.node), str(compiler), "--noEmit", "-p", str(project), cwd=cwd)


@pytest.fixture(scope="module")
def installed(node, tmp_path_factory) -> Path:
    """Another project with the package in it, installed from the file alone."""
    folder = tmp_path_factory.mktemp("project")
    call(node, str(node.npm), "pack", "--silent", "--pack-destination", str(folder), cwd=WEB)
    (folder / "package.json").write_text('{"name": "project", "version": "1.0.0", "private": true}')
    [archive] = folder.glob("*.tgz")
    call(
        node, str(node.npm), "install", "--offline", "--silent", "--ignore-scripts", str(archive), cwd=folder
    )
    return folder / "node_modules" / "@prelisten" / "widget"


def test_package_carries_all_that_the_page_loads(installed):
    """Every file of the bundle's manifest, and nothing to install beside it."""
    manifest = json.loads((installed / "dist" / "manifest.json").read_text())
    missing = [name for name in manifest["files"] if not (installed / "dist" / name).is_file()]
    assert missing == []
    package = json.loads((installed / "package.json").read_text())
    assert "dependencies" not in package
    assert package["version"] == manifest["version"]
    exported = [
        path
        for entry in package["exports"].values()
        for path in (entry.values() if isinstance(entry, dict) else [entry])
    ]
    for entry in (
        "types/protocol.d.ts",
        "README.md",
        "docs/adapters.md",
        package["customElements"],
        *exported,
    ):
        assert "*" in entry or (installed / entry).is_file(), entry
    assert not list(installed.rglob("*.br"))


def test_project_compiles_against_the_types(node, installed):
    """Strictly, without the sources: right use is right, wrong use is an error."""
    folder = installed.parents[2]
    (folder / "use.ts").write_text(PROJECT)
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": STRICT, "files": ["use.ts"]}))
    tsc(node, folder / "tsconfig.json", folder)


@pytest.fixture(scope="module")
def adapted(installed) -> Path:
    """The same project with the libraries, and the adapters' sources and the typed example beside it."""
    folder = installed.parents[2]
    for library in examples.install(print).iterdir():
        if library.name != "@prelisten" and not library.name.startswith("."):
            (folder / "node_modules" / library.name).symlink_to(library)
    for name in ("adapters", "types", "index.d.ts"):
        (folder / name).symlink_to(WEB / name)
    return folder


def test_adapters_compile_in_a_project(node, adapted):
    """Right use of each is right, wrong use is an error; their sources and the typed example are strictly right too."""
    (adapted / "adapted.tsx").write_text(ADAPTED)
    options = {**STRICT, "checkJs": True, "allowJs": True, "skipLibCheck": True, "preserveSymlinks": True}
    files = [f"adapters/{path.name}" for path in (WEB / "adapters").glob("*.js")]
    for name in ("words.d.ts", "react"):
        (adapted / name).symlink_to(WEB / "examples" / name)
    order = {"compilerOptions": options, "files": ["adapted.tsx", *files, "react/main.tsx"]}
    (adapted / "adapted.json").write_text(json.dumps(order))
    tsc(node, adapted / "adapted.json", adapted)


def test_vue_example_is_typed(node, adapted):
    """Its template too, by Vue's own compiler: as it stands it is right, a wrong property or listener is an error."""
    example = adapted / "vue"
    shutil.copytree(WEB / "examples" / "vue", example)
    options = {**STRICT, "skipLibCheck": True, "preserveSymlinks": True}
    order = {"compilerOptions": options, "include": ["vue/*.ts", "vue/*.vue"]}
    (adapted / "vue.json").write_text(json.dumps(order))
    compiler = adapted / "node_modules" / "vue-tsc" / "bin" / "vue-tsc.js"
    command = (str(node.node), str(compiler), "--noEmit", "-p", "vue.json")
    call(node, *command, cwd=adapted)
    form = (example / "Form.vue").read_text()
    for wrong in (":wait=\"'later'\"", '@result="(event: number) => event"'):
        (example / "Form.vue").write_text(form.replace('action="voice-upload"', wrong))
        with pytest.raises(toolchain.ToolError, match="TS2322"):
            call(node, *command, cwd=adapted)


def test_adapters_ask_for_the_libraries_that_they_were_tried_with():
    """Optional, all of them, and of the major version that the examples are pinned to."""
    package = json.loads((WEB / "package.json").read_text())
    assert package["peerDependenciesMeta"] == {
        name: {"optional": True} for name in package["peerDependencies"]
    }
    pinned = json.loads((WEB / "examples" / "package.json").read_text())["devDependencies"]
    for name, wanted in package["peerDependencies"].items():
        assert pinned[name].split(".")[0] == wanted.removeprefix("^").split(".")[0], name


def test_told_types_are_those_of_the_element(node, tmp_path):
    """What `index.d.ts` says of the class is what the class is."""
    (tmp_path / "told.ts").write_text(SAME.replace("WEB", WEB.as_posix()))
    order = {"extends": str(WEB / "jsconfig.json"), "include": [str(WEB / "src/globals.d.ts")]}
    (tmp_path / "told.json").write_text(json.dumps(order | {"files": ["told.ts"]}))
    call(node, str(node.npm), "run", "--silent", "types", cwd=WEB)
    tsc(node, tmp_path / "told.json", WEB)


def test_manifest_names_what_the_element_has():
    """Attributes, events, parts, slots and variables of custom-elements.json: those of the sources."""
    text = (WEB / "src" / "pages" / "custom-elements.json").read_text()
    told = json.loads(text)["modules"][0]["declarations"][0]
    source = "".join(path.read_text() for path in sorted((WEB / "src").glob("**/*.js")))
    table = (WEB / "docs" / "widget.md").read_text()
    declared = source.partition("static properties = {")[2].partition("\n  };")[0]
    names = {
        re.sub(r'.*attribute: "([\w-]+)".*', r"\1", line) if "attribute:" in line else line.partition(":")[0]
        for line in map(str.strip, declared.strip().splitlines())
    }
    assert {item["name"] for item in told["attributes"]} == names - {"state"}
    assert {item["name"] for item in told["cssProperties"]} == set(
        re.findall(r"var\((--prelisten-\w+)", source)
    )
    assert {item["name"] for item in told["cssParts"]} == set(re.findall(r'part="([a-z-]+)"', source))
    assert {item["name"] for item in told["slots"]} - {""} == set(re.findall(r'slot name="([a-z]+)"', source))
    section = table.partition("\n## Events\n")[2].partition("\n## ")[0]
    assert {item["name"] for item in told["events"]} == set(
        re.findall(r"^\| `(prelisten-\w+)`", section, re.MULTILINE)
    )
