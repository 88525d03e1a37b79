variable "name" {
  type = string
}

variable "cidr" {
  type = string
}

variable "admin_cidrs" {
  type = list(string)
}

variable "bastion_ami" {
  type    = string
  default = "ami-0123456789abcdef0"
}
