variable "name" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}

variable "security_group_ids" {
  type = list(string)
}

variable "public" {
  type    = bool
  default = false
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "random_password" "admin" {
  length = 32
}

resource "aws_db_instance" "this" {
  identifier             = var.name
  engine                 = "postgres"
  engine_version         = "16.4"
  instance_class         = "db.t4g.medium"
  allocated_storage      = 50
  username               = "shop"
  password               = random_password.admin.result
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = var.security_group_ids
  publicly_accessible    = var.public
  storage_encrypted      = true
  skip_final_snapshot    = true

  # keyblind:ignore[db-instance-in-one-zone] until=2027-06-30 reason="one zone is enough until the launch"
  multi_az = false
}
