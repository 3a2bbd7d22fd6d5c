from setuptools import find_packages, setup

NAME = "keypoint_camera"

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
    description="The camera node and its back ends: Azure Kinect and replay of recordings.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "camera_node = keypoint_camera.camera_node:main",
        ]
    },
)
