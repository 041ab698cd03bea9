-- KEYS row. ARGV id, value, expires_at in ms or '', channel, the writer's own channel or ''.
local old = redis.call('GETRANGE', KEYS[1], 0, 76)
if old ~= '' then
  return 'X' .. ARGV[1] .. old
end
-- The notice first: if the user may not publish, nothing has been written yet.
local told = tell(ARGV[4], ARGV[5], 'S' .. string.sub(ARGV[2], 5, 36))
if ARGV[3] == '' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[3])
end
return 'C' .. ARGV[1] .. told
