"""Packs one program into a wheel and prints its path: make_wheel.py PROGRAM LICENCE FOLDER VERSION

The program is a script of the wheel, so that `pip install` puts it on the PATH. It is static: any Linux will do, whatever
its C library. The same program gives the same bytes.
"""
import base64, hashlib, pathlib, sys, zipfile

program, licence, folder, version = *map(pathlib.Path, sys.argv[1:4]), sys.argv[4]
platforms = ["manylinux_2_17_x86_64", "musllinux_1_1_x86_64"]
info = f"keyblind-{version}.dist-info"
metadata = f"""Metadata-Version: 2.1
Name: keyblind
Version: {version}
Summary: Finds cloud misconfigurations in infrastructure code.
License: Apache-2.0
Classifier: Environment :: Console
Classifier: Operating System :: POSIX :: Linux
Requires-Python: >=3.8
"""
tags = "".join(f"Tag: py3-none-{platform}\n" for platform in platforms)
files = {
    f"keyblind-{version}.data/scripts/keyblind": (program.read_bytes(), 0o755),
    f"{info}/METADATA": (metadata.encode(), 0o644),
    f"{info}/WHEEL": (f"Wheel-Version: 1.0\nGenerator: keyblind xtask\nRoot-Is-Purelib: false\n{tags}".encode(), 0o644),
    f"{info}/LICENSE": (licence.read_bytes(), 0o644),
}
record = "".join(
    f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n" for name, (data, _) in files.items()
) + f"{info}/RECORD,,\n"
files[f"{info}/RECORD"] = (record.encode(), 0o644)
target = folder / f"keyblind-{version}-py3-none-{'.'.join(platforms)}.whl"
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
    for name, (data, mode) in files.items():
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        wheel.writestr(entry, data)
print(target)
