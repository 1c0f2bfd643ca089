//! What do the kernels work on? A seeded log like that of `pycjm synth`, small enough to stay in memory.

/// Rows of a log, cases together and in the order of time.
pub struct Log {
    /// Key of each row's case, scattered over 64 bits.
    pub keys: Vec<u64>,
    /// Activity code of each row.
    pub codes: Vec<u32>,
    /// Microseconds of each row.
    pub times: Vec<i64>,
}

/// A generator of random numbers that is the same everywhere (SplitMix64, Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Log {
    /// About `events` rows: 10 a case on average, `activities` of which 12 follow each, gaps over six powers of ten.
    pub fn new(events: usize, activities: u64) -> Log {
        let mut random = Random(1);
        let mut log = Log { keys: Vec::new(), codes: Vec::new(), times: Vec::new() };
        while log.keys.len() < events {
            let length = (1.0 / (1.0 - random.unit()).powf(0.6) * 4.0).min(500.0) as usize;
            let key = random.bits();
            let mut code = random.bits() % 3 % activities;
            let mut time = (random.unit() * 3e13) as i64;
            for _ in 0..length {
                log.keys.push(key);
                log.codes.push(code as u32);
                log.times.push(time);
                // Some of the 12 followers are far more frequent than others.
                let step = (random.unit() * random.unit() * 12.0) as u64;
                code = (code * 7 + 1 + step * step) % activities;
                time += 10f64.powf(3.0 + 6.0 * random.unit()) as i64;
            }
        }
        log
    }

    /// The rows in another order.
    pub fn shuffled(&self) -> Log {
        let mut random = Random(2);
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, (random.bits() % (i as u64 + 1)) as usize);
        }
        Log {
            keys: order.iter().map(|&row| self.keys[row]).collect(),
            codes: order.iter().map(|&row| self.codes[row]).collect(),
            times: order.iter().map(|&row| self.times[row]).collect(),
        }
    }

    /// Where cases begin and end, cut into batches of about `rows` rows: n + 1 positions for n cases each.
    pub fn batches(&self, rows: usize) -> Vec<Vec<u32>> {
        let mut batches = vec![vec![0]];
        for row in 1..=self.keys.len() {
            if row < self.keys.len() && self.keys[row] == self.keys[row - 1] {
                continue;
            }
            let last = batches.last_mut().expect("there is one");
            last.push(row as u32);
            if row - last[0] as usize >= rows && row < self.keys.len() {
                batches.push(vec![row as u32]);
            }
        }
        batches
    }
}
