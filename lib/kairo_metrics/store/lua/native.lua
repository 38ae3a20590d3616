-- Native histograms, as in native_counts.py. apply.lua follows this file.
--
-- A line is "<sum> <count> <zero count> <schema> <zero threshold> <positive> <negative>", where the last two are
-- "index:count,index:count" or "-". A word is one of these seven; a side is the positive or the negative buckets.
--
-- Few batches hold one, and a function takes time to define. So all of them are defined by the first call.

local NATIVE_SHAPE = 'awwszbb' -- see schema.py
local native

local function load_native()
  local COARSEST, FINEST = -4, 8
  native = {}

  local function side_of(text)
    local side = {}
    for index, count in string.gmatch(text, '(-?%d+):(%d+)') do side[tonumber(index)] = tonumber(count) end
    return side
  end

  function native.is_schema(word)
    return string.find(word, '^%-?%d$') and tonumber(word) >= COARSEST and tonumber(word) <= FINEST
  end

  -- The index of a bucket has at most six digits for any float, and a count at most 15.
  function native.is_side(word)
    if word == '-' then return true end
    return not string.find(word, string.rep('%d', 16))
      and string.gsub(',' .. word, ',%-?%d%d?%d?%d?%d?%d?:%d+', '') == ''
  end

  -- Whether the counts of all buckets add up to the count of observations.
  function native.adds_up(words)
    local in_buckets = tonumber(words[3])
    for side = 6, 7 do
      for count in string.gmatch(words[side], ':(%d+)') do in_buckets = in_buckets + tonumber(count) end
    end
    return in_buckets == tonumber(words[2])
  end

  local function side_text(side)
    local indexes = {}
    for index in pairs(side) do indexes[#indexes + 1] = index end
    table.sort(indexes)
    for place, index in ipairs(indexes) do indexes[place] = string.format('%.0f:%.0f', index, side[index]) end
    return #indexes > 0 and table.concat(indexes, ',') or '-'
  end

  local function upper_bound(index, schema)
    return 2 ^ (index * 2 ^ -schema)
  end

  function native.read(words)
    return {
      sum = tonumber(words[1]),
      count = tonumber(words[2]),
      zero_count = tonumber(words[3]),
      schema = tonumber(words[4]),
      zero_threshold = tonumber(words[5]),
      positive = side_of(words[6]),
      negative = side_of(words[7]),
    }
  end

  -- Joins buckets until they are as wide as those of a schema.
  local function coarsen(counts, schema)
    local width = 2 ^ (counts.schema - schema)
    if width <= 1 then return end
    for _, name in ipairs({ 'positive', 'negative' }) do
      local joined = {}
      for index, count in pairs(counts[name]) do
        local wide_index = math.ceil(index / width) + 0 -- turns -0 into 0
        joined[wide_index] = (joined[wide_index] or 0) + count
      end
      counts[name] = joined
    end
    counts.schema = schema
  end

  -- Moves buckets that begin below a threshold into the zero bucket, each as a whole.
  local function widen_zero(counts, threshold)
    for _, name in ipairs({ 'positive', 'negative' }) do
      local low = {}
      for index in pairs(counts[name]) do
        if upper_bound(index - 1, counts.schema) < threshold then low[#low + 1] = index end
      end
      for _, index in ipairs(low) do
        counts.zero_count = counts.zero_count + counts[name][index]
        counts[name][index] = nil
        threshold = math.max(threshold, upper_bound(index, counts.schema))
      end
    end
    counts.zero_threshold = math.max(counts.zero_threshold, threshold)
  end

  local function add_sides(into, from)
    for index, count in pairs(from) do into[index] = (into[index] or 0) + count end
  end

  -- Adds other counts, at the coarser of both resolutions; the other counts are changed, too.
  function native.add(counts, other)
    while counts.zero_threshold ~= other.zero_threshold do
      local narrow, wide = counts, other
      if narrow.zero_threshold > wide.zero_threshold then narrow, wide = wide, narrow end
      widen_zero(narrow, wide.zero_threshold)
    end
    local schema = math.min(counts.schema, other.schema)
    coarsen(counts, schema)
    coarsen(other, schema)
    counts.sum = counts.sum + other.sum
    counts.count = counts.count + other.count
    counts.zero_count = counts.zero_count + other.zero_count
    add_sides(counts.positive, other.positive)
    add_sides(counts.negative, other.negative)
  end

  local function bucket_count(counts)
    local buckets = 0
    for _ in pairs(counts.positive) do buckets = buckets + 1 end
    for _ in pairs(counts.negative) do buckets = buckets + 1 end
    return buckets
  end

  -- Coarsens the resolution until there are at most so many buckets.
  function native.limit(counts, max_buckets)
    while bucket_count(counts) > max_buckets and counts.schema > COARSEST do coarsen(counts, counts.schema - 1) end
  end

  function native.write(counts, number_text)
    return {
      number_text(counts.sum),
      string.format('%.0f', counts.count),
      string.format('%.0f', counts.zero_count),
      string.format('%.0f', counts.schema),
      number_text(counts.zero_threshold),
      side_text(counts.positive),
      side_text(counts.negative),
    }
  end
end
