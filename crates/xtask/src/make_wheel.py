"""Packs one program into a wheel: make_wheel.py PROGRAM FOLDER VERSION

The program is a script of the wheel, so that `pip install` puts it on the PATH. The same program gives the same bytes.
"""
import base64, hashlib, pathlib, sys, zipfile

program, folder, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
tag = "py3-none-manylinux_2_17_x86_64"
info = f"keyblind-{version}.dist-info"
files = {
    f"keyblind-{version}.data/scripts/keyblind": (program.read_bytes(), 0o755),
    f"{info}/METADATA": (f"Metadata-Version: 2.1\nName: keyblind\nVersion: {version}\nSummary: Finds cloud misconfigurations in infrastructure code.\nLicense: Apache-2.0\n".encode(), 0o644),
    f"{info}/WHEEL": (f"Wheel-Version: 1.0\nGenerator: keyblind xtask\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644),
}
record = "".join(
    f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n" for name, (data, _) in files.items()
) + f"{info}/RECORD,,\n"
files[f"{info}/RECORD"] = (record.encode(), 0o644)
target = folder / f"keyblind-{version}-{tag}.whl"
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
    for name, (data, mode) in files.items():
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.external_attr = (0o100000 | mode) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        wheel.writestr(entry, data)
print(target)
