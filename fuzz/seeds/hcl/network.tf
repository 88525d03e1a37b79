# A small network, written as people write them.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "cidr" {
  type        = string
  description = "The range of the network"
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && tonumber(split("/", var.cidr)[1]) <= 24
    error_message = "This is no \"CIDR\" range of at least /24."
  }
}

variable "rules" {
  type = map(object({
    port        = number
    cidr_blocks = optional(list(string), ["10.0.0.0/8"])
  }))
  default  = {}
  nullable = false
}

locals {
  zones   = slice(data.aws_availability_zones.this.names, 0, min(3, length(data.aws_availability_zones.this.names)))
  public  = [for index, zone in local.zones : cidrsubnet(var.cidr, 8, index)]
  by_zone = { for index, zone in local.zones : zone => local.public[index] if index != 7 }
  grouped = { for name, rule in var.rules : rule.port => name... }

  tags = merge(
    { Name = "network", "cost-center" : 17, (var.tag_key) = true },
    var.tags, // the caller's win
  )

  ports  = flatten(values(var.rules)[*].port)
  second = aws_subnet.public.1.id
  ids    = aws_subnet.public.*.id
  deep   = aws_vpc.this[*].ipv6[*].block
  neg    = -(1 + 2) * 3 % 4 / -5
  not    = !var.enabled && !(var.a == null || var.b >= 1.5e3)
}

data "aws_availability_zones" "this" {
  state = "available"
}

resource "aws_vpc" "this" {
  count = var.enabled ? 1 : 0

  cidr_block           = var.cidr
  enable_dns_hostnames = true
  tags                 = local.tags
}

resource "aws_security_group" "this" {
  name   = "network"
  vpc_id = one(aws_vpc.this[*].id)

  dynamic "ingress" {
    for_each = var.rules
    iterator = rule

    content {
      description = rule.key
      from_port   = rule.value.port
      to_port     = rule.value["port"]
      protocol    = "tcp"
      cidr_blocks = rule.value.cidr_blocks
    }
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1" /* all */
    cidr_blocks = ["0.0.0.0/0"] # anywhere
  }

  lifecycle { create_before_destroy = true }
}

output "arn" { value = provider::aws::arn_parse(aws_vpc.this[0].arn).resource }

module "empty" {}
