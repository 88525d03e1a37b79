region  = "eu-central-1"
enabled = true
count   = 3
ratio   = 0.25
nothing = null

zones = [
  "eu-central-1a",
  "eu-central-1b",
]

rules = {
  ssh   = { port = 22, cidr_blocks = ["10.0.0.0/8"] }
  https = {
    port : 443
  }
}
