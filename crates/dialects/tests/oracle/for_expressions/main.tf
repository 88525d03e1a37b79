locals {
  list   = ["b", "a", "c"]
  object = { y = 2, x = 1 }
  set    = toset(["q", "p"])
  people = [
    { name = "ann", team = "red", age = 31 },
    { name = "bob", team = "blue", age = 25 },
    { name = "cid", team = "red", age = 47 },
  ]
}

output "list" { value = [for item in local.list : upper(item)] }
output "list_indexed" { value = [for index, item in local.list : "${index}-${item}"] }
output "list_filtered" { value = [for item in local.list : item if item != "a"] }
output "object_to_list" { value = [for key, value in local.object : "${key}=${value}"] }
output "set" { value = [for item in local.set : item] }
output "set_two" { value = { for key, item in local.set : key => item } }
output "object" { value = { for person in local.people : person.name => person.age } }
output "object_filtered" { value = { for person in local.people : person.name => person.age if person.age > 30 } }
output "grouped" { value = { for person in local.people : person.team => person.name... } }
output "nested" { value = [for a in [1, 2] : [for b in [10, 20] : a * b]] }
output "nested_object" { value = { for team in distinct(local.people[*].team) : team => { for p in local.people : p.name => p.age if p.team == team } } }
output "empty" { value = [for item in [] : item] }
output "keys_sorted" { value = [for key in keys({ b = 1, a = 2, C = 3 }) : key] }
output "multiline" {
  value = {
    for item in local.list : item =>
    item == "a"
    ? "first"
    : "other"
  }
}
output "shadowed" { value = [for local in [1, 2] : local + 1] }
output "number_keys" { value = { for index, item in local.list : index => item } }
