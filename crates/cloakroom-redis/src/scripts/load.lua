-- KEYS row. ARGV id.
local old = redis.call('GET', KEYS[1])
if not old then
  return 'N' .. ARGV[1]
end
return 'R' .. ARGV[1] .. old
