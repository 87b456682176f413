"""ROS 2 bags: folders of SQLite databases or MCAP files, with or without metadata.yaml."""
