variable "prefix" {}

module "leaf" {
  for_each = toset(["l", "m"])
  source   = "./leaf"
  name     = "${var.prefix}.${each.key}"
}

output "all" { value = { for key, leaf in module.leaf : key => leaf.name } }
output "first" { value = module.leaf["l"].name }
output "leaf_path" { value = module.leaf["l"].path }
