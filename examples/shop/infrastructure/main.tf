terraform {
  required_version = ">= 1.5"

  backend "s3" {
    bucket = "shop-terraform-state"
    key    = "prod/terraform.tfstate"
    region = "eu-central-1"
  }
}

provider "aws" {
  region = var.region
}

locals {
  name = "shop-${var.environment}"
  tags = {
    Project     = "shop"
    Environment = var.environment
  }
}

module "network" {
  source = "./modules/network"

  name        = local.name
  cidr        = "10.20.0.0/16"
  admin_cidrs = var.admin_cidrs
}

module "buckets" {
  source   = "./modules/storage"
  for_each = var.buckets

  name       = "${local.name}-${each.key}"
  acl        = each.value.acl
  versioning = each.value.versioning
  tags       = local.tags
}

module "database" {
  source = "./modules/database"

  name               = local.name
  subnet_ids         = module.network.private_subnet_ids
  security_group_ids = [module.network.database_security_group_id]
  public             = var.environment != "prod"
}

resource "aws_iam_role" "deploy" {
  name               = "${local.name}-deploy"
  assume_role_policy = data.aws_iam_policy_document.deploy_trust.json
}

data "aws_iam_policy_document" "deploy_trust" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["arn:aws:iam::${var.account_id}:oidc-provider/token.actions.githubusercontent.com"]
    }

    # Any repository of any organisation may assume the role: the subject isn't confined.
    condition {
      test     = "StringEquals"
      variable = "token.actions.githubusercontent.com:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "deploy" {
  role = aws_iam_role.deploy.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction", "s3:*"]
      Resource = "*"
    }]
  })
}
