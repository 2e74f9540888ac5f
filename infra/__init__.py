"""The CDK app: what runs on AWS, and on the local cloud, is said here and nowhere else."""
