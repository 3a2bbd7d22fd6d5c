from setuptools import find_packages, setup

NAME = "keypoint_trials"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            f"trial_node = {NAME}.trial_node:main",
            f"recorder_node = {NAME}.recorder_node:main",
            f"recover = {NAME}.recover:main",
            f"report = {NAME}.report:main",
        ],
    },
    zip_safe=False,
    maintainer="Keypoint stack maintainers",
    maintainer_email="maintainers@keypoint-stack.invalid",
    description="Trials of the keypoint robot stack: run, record, judge, report.",
    license="Apache-2.0",
)
