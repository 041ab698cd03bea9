-- KEYS row. ARGV id. The header is 77 bytes: see row.rs.
return 'R' .. ARGV[1] .. redis.call('GETRANGE', KEYS[1], 0, 76)
