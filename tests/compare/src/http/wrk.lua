-- The requests are built once, one for each session, and take turns.
local requests = {}
local turn = 0

function init(args)
  for cookie in string.gmatch(os.getenv("COOKIES") or "", "[^\n]+") do
    requests[#requests + 1] = wrk.format(nil, nil, { ["Host"] = "localhost", ["Cookie"] = cookie })
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, requests)
  local e = summary.errors
  local failures = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("result %d %d %d\n", summary.requests, summary.duration, failures))
end
