module "one" {
  source = "./child"
  name   = "one"
}

module "counted" {
  count  = 2
  source = "./child"
  name   = "c${count.index}"
}

module "keyed" {
  for_each = { a = "x", b = "y" }
  source   = "./child"
  name     = each.value
  options  = { size = 5 }
}

module "set" {
  for_each = toset([for name in ["p", "q", "r"] : name if name != "q"])
  source   = "./child"
  name     = each.key
}

module "none" {
  count  = 0
  source = "./child"
  name   = "never"
}

module "nested" {
  source = "./nested"
  prefix = module.one.full
}

module "back" {
  source = "./child"
  name   = module.nested.first
}

output "one" { value = module.one.full }
output "counted" { value = module.counted[*].full }
output "keyed" { value = { for key, child in module.keyed : key => child.full } }
output "keyed_b" { value = module.keyed["b"].options }
output "set" { value = [for child in module.set : child.full] }
output "none" { value = length(module.none) }
output "nested" { value = module.nested.all }
output "back" { value = module.back.full }
output "paths" { value = [path.module, path.root, module.one.path, module.nested.leaf_path] }
