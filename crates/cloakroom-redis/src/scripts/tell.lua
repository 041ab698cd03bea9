-- Publishes a notice and returns '1'. If nobody listens on the channel who does not listen on `own`
-- too, all listeners are the writer's own, which tells them itself: then it returns '0'.
local function tell(channel, own, notice)
  if own ~= '' then
    local counts = redis.pcall('PUBSUB', 'NUMSUB', channel, own)
    if not counts.err and counts[2] == counts[4] then
      return '0'
    end
  end
  redis.call('PUBLISH', channel, notice)
  return '1'
end
