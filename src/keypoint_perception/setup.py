from setuptools import find_packages, setup

NAME = "keypoint_perception"

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
    description="Nodes that locate keypoints, track them, and show them.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "correspondence_node = keypoint_perception.correspondence_node:main",
            "tracker_node = keypoint_perception.tracker_node:main",
            "overlay_node = keypoint_perception.overlay_node:main",
        ]
    },
)
