"""What every converter of ROS logs leaves to one place: which messages hold images, and which hold records."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaref_tools.errors import ImageError
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import Container, make_sample


@pytest.mark.parametrize("container", ["rosbag1", "rosbag2-sqlite3", "rosbag2-mcap", "mcap"])
def test_a_message_that_is_no_image_is_refused_by_name(tmp_path: Path, container: Container) -> None:
    with open_log(make_sample(tmp_path / "log", container=container, seconds=1)) as log:
        message = next(iter(log.messages({"/imu/data"})))
        with pytest.raises(ImageError, match=r"'/imu/data' is a '.*Imu', expected an image"):
            log.image(message)
        assert log.record(message) is None
