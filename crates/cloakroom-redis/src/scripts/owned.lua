-- KEYS index. ARGV owner, '-' or '(' and the last member that is not wanted, limit, an age in ms. Members
-- are shown as ids; whole if they are kept for ever and the id is older than that.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local page, after, limit = {}, ARGV[2], tonumber(ARGV[3])
-- What is found dead goes, and its place in the page is filled: a short page means the end.
while #page < limit do
  local wanted = limit - #page
  local members = redis.call('ZRANGEBYLEX', KEYS[1], after, '+', 'LIMIT', 0, wanted)
  for _, member in ipairs(members) do
    local kept = 0
    for i = 17, 24 do
      kept = kept * 256 + (string.byte(member, i) or 0)
    end
    if kept <= now then
      redis.call('ZREM', KEYS[1], member)
    else
      local made = 0
      for i = 1, 6 do
        made = made * 256 + string.byte(member, i)
      end
      local old = kept >= 4503599627370496 and made + tonumber(ARGV[4]) < now
      page[#page + 1] = old and member or string.sub(member, 1, 16)
    end
    after = '(' .. member
  end
  if #members < wanted then
    break
  end
end
return {'O' .. ARGV[1], page}
