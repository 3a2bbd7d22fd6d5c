from setuptools import find_packages, setup

NAME = "keypoint_arms"

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
    zip_safe=True,
    maintainer="Keypoint stack maintainers",
    maintainer_email="maintainers@keypoint-stack.invalid",
    description="The arm node, its safety gate in front of every driver, and the drivers.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "arm_node = keypoint_arms.arm_node:main",
        ]
    },
)
