"""Published contracts: ROS message definitions and JSON Schemas, for other languages and for the converters."""
