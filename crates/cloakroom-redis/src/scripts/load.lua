-- KEYS row. ARGV id.
return {'R', ARGV[1], redis.call('GET', KEYS[1])}
