from setuptools import find_packages, setup

NAME = "keypoint_sim"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={NAME: ["assets/*.xml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    entry_points={"console_scripts": ["sim_node = keypoint_sim.sim_node:main"]},
    zip_safe=False,
    maintainer="Keypoint stack maintainers",
    maintainer_email="maintainers@keypoint-stack.invalid",
    description="The simulated world: arm, RGB-D camera, tasks, experts and disturbances.",
    license="Apache-2.0",
)
