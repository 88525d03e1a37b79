locals {
  # The bodies of `for` go on over line ends, as a widely used module writes them.
  nested = {
    for name, rule in var.rules :
    name => rule.port > 1024
    ? "high-${rule.port}"
    : rule.port == 22 || rule.port == 3389
    ? "remote"
    : "low"
  }

  names = [
    for name in var.names : name
    if name != ""
    && name != null
  ]
}
