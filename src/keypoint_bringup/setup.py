import os

from setuptools import find_packages, setup

NAME = "keypoint_bringup"


def tree(folder):
    """All files below a top-level folder, which is linked to from here, for the package's share."""
    return [
        (f"share/{NAME}/{path}", [f"{path}/{file}" for file in sorted(files)])
        for path, folders, files in os.walk(folder, followlinks=True)
        if files and not path.endswith("__pycache__")
    ]


setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        *tree("launch"),
        *tree("config"),
        *tree("models"),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    entry_points={"console_scripts": ["up = keypoint_bringup.up:main"]},
    zip_safe=False,
    maintainer="Keypoint stack maintainers",
    maintainer_email="maintainers@keypoint-stack.invalid",
    description="The graph of the keypoint robot stack as data, and its start.",
    license="Apache-2.0",
)
