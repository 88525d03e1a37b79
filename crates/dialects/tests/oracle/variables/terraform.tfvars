from_file = "file"
from_auto = "file"
typed = {
  a = "1"
  b = 2
}
