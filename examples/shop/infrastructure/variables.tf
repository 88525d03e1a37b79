variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "environment" {
  type    = string
  default = "staging"
}

variable "admin_cidrs" {
  description = "Where administrators connect from."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "buckets" {
  type = map(object({
    acl        = optional(string, "private")
    versioning = optional(bool, false)
  }))
  default = {
    images   = { acl = "public-read" }
    invoices = { versioning = true }
  }
}

variable "account_id" {
  description = "The account that the shop runs in."
  type        = string
}
