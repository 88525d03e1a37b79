locals {
  zero = 0
  text = "12"
}

output "arithmetic" {
  value = [1 + 2 * 3, (1 + 2) * 3, 7 / 2, -7 % 3, 7 % -3, 10 / 4 * 2, 2 - -2, 0.1 + 0.2, 1e3, 1 / 3]
}

output "large" {
  value = [9223372036854775807 + 1, 123456789012345678901234567890 * 2, 1.5e-7, 100000000000000000000]
}

output "comparison" {
  value = [1 < 2, 2 <= 2, 3 > 4, 4 >= 4, 1 == 1.0, "1" == "1", "a" != "b", true == true, null == null]
}

output "different_types" {
  value = ["1" == 1, true == "true", [1] == [1], [1] == ["1"], { a = 1 } == { a = 1 }, { a = 1 } == { a = 2 }]
}

output "logic" {
  value = [true && false, true || false, !true, !(false || true), "true" && true, false && true || true]
}

output "conversion" {
  value = [local.text + 1, "2" * "3", -local.text, !"false"]
}

output "conditional" {
  value = [local.zero == 0 ? "yes" : "no", true ? 1 : "a", false ? null : 5, true ? ["a"] : [], false ? {} : { k = "v" }]
}

output "nested_conditional" {
  value = local.zero > 1 ? "a" : local.zero == 0 ? "b" : "c"
}

output "conditional_unifies" {
  value = {
    numbers = true ? [1, "2"] : []
    mixed   = true ? "5" : 6
    bools   = false ? true : "false"
  }
}

output "precedence" {
  value = 1 + 2 == 3 && 4 * 2 > 7 ? -1 + 2 : 0
}
