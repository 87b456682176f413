"""ROS 1 bags: read, indexed where nobody did, written anew."""
